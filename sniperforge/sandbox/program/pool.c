/* Constant-product pools behind Jupiter's `route_v2` instruction: the program that the sandbox deploys at
 * JUP6LkbZbjS1jKKwapdHNy74zcZ3tLUZoi5QNyVTaV4. `sniperforge/sandbox/pool.py` is the same arithmetic in Python.
 *
 * INSTRUCTION DATA (little endian; the outer form is that of the real route_v2)
 *    0  u64 tag                bb64facc31c4af14
 *    8  u64 in_amount          taken from the taker's source account, all of it
 *   16  u64 quoted_out_amount
 *   24  u16 slippage_bps       minimum out = ceil(quoted_out_amount * (10000 - slippage_bps) / 10000)
 *   26  u16 platform_fee_bps   must be 0
 *   28  u16 positive_slippage  must be 0: the taker keeps all of it
 *   30  u32 number of steps    1..16
 *   34  steps, 5 bytes each    u8 venue kind (3, TokenSwap), u16 bps, u8 input_index, u8 output_index; nothing follows
 *
 * The plan is a directed graph of amounts. Slot 0 holds in_amount; each step takes `bps` of all that reached its
 * input slot, and adds what arrived to its output slot. The step that completes 10000 bps takes everything left, so no
 * dust stays behind. A slot receives nothing more once it is being spent. The output slot of the last step is the
 * destination. Two slots may hold one mint: legs in parallel that pass through one mint keep their amounts apart.
 *
 * ACCOUNTS
 *    0  taker (signer)               5  source token program
 *    1  taker's source account (w)   6  destination token program
 *    2  destination account (w)      7  this program: the optional destination of the real route_v2, absent
 *    3  source mint                  8  event authority (no events are emitted)
 *    4  destination mint             9  this program
 *   then for each step, consecutively:
 *   +0  venue program, as the pool states it     +4  vault that pays (w)
 *   +1  pool state                               +5  account of the output slot (w)
 *   +2  pool authority                           +6  output mint
 *   +3  vault that receives (w)                  +7  output token program
 *   Accounts after these are ignored.
 *
 * POOL STATE, 272 bytes, owned by this program, written only at genesis
 *    0  "SFPOOL01"      16  mint a    80  vault a     144  token program a    208  authority
 *    8  u16 fee_bps     48  mint b   112  vault b     176  token program b    240  venue program
 *   10  u8 bump         11  u8 decimals a     12  u8 decimals b     13  zeros
 *   The authority is the program address of ("pool", state address, bump); it owns both vaults and nothing else.
 *
 * Amounts in and out are measured on the accounts before and after each transfer, because Token-2022 may withhold a
 * transfer fee. The fee is rounded up and the output down, so rounding never favours the taker.
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define INLINE static inline __attribute__((always_inline))
#define NO_UNROLL _Pragma("clang loop unroll(disable)")

enum {
    /* Jupiter's own codes, with Jupiter's meaning. */
    EMPTY_ROUTE = 6000,
    SLIPPAGE_TOLERANCE_EXCEEDED = 6001,
    INVALID_CALCULATION = 6002, /* a reserve is empty, or would not fit into 64 bits */
    MISSING_PLATFORM_FEE_ACCOUNT = 6003, /* a platform fee is asked for; this program takes none */
    INVALID_SLIPPAGE = 6004, /* above 10000 bps, or a share of positive slippage is asked for */
    NOT_ENOUGH_PERCENT = 6005, /* the steps that spend a slot do not add up to 10000 bps */
    INVALID_INPUT_INDEX = 6006,
    INVALID_OUTPUT_INDEX = 6007,
    NOT_ENOUGH_ACCOUNT_KEYS = 6008,
    INVALID_ROUTE_PLAN = 6010, /* length, number of steps, venue kind, or the program's own places are wrong */
    INCORRECT_TOKEN_PROGRAM = 6014,
    SAME_MINT = 6018,
    INSUFFICIENT_FUNDS = 6024,
    INVALID_TOKEN_ACCOUNT = 6025,
    /* Ours. */
    UNKNOWN_INSTRUCTION = 6900,
    TAKER_DID_NOT_SIGN = 6901,
    NOT_A_POOL = 6902, /* not owned by this program, or no pool state of this version */
    NOT_THE_POOLS_VAULT = 6903,
    NOT_THE_POOLS_AUTHORITY = 6904,
    MINT_NOT_IN_POOL = 6905,
    NOT_THE_POOLS_VENUE = 6906,
    ZERO_AMOUNT = 6907, /* nothing goes in, or nothing comes out */
};

enum { FIXED_ACCOUNTS = 10, STEP_ACCOUNTS = 8, MAX_STEPS = 16, MAX_SLOTS = 17 };
enum { MAX_ACCOUNTS = FIXED_ACCOUNTS + STEP_ACCOUNTS * MAX_STEPS };
enum { HEADER_BYTES = 34, STEP_BYTES = 5, TOKEN_SWAP = 3, BPS = 10000 };
enum { STATE_FEE = 8, STATE_BUMP = 10, STATE_DECIMALS = 11, STATE_MINTS = 16, STATE_VAULTS = 80 };
enum { STATE_TOKEN_PROGRAMS = 144, STATE_AUTHORITY = 208, STATE_VENUE = 240, STATE_BYTES = 272 };
enum { TOKEN_ACCOUNT_BYTES = 165, TOKEN_OWNER = 32, TOKEN_AMOUNT = 64, TRANSFER_CHECKED = 12 };

#define ROUTE_V2_TAG 0x14afc431ccfa64bbULL
#define STATE_MAGIC 0x31304c4f4f504653ULL /* "SFPOOL01" */

/* The runtime's structures for calling other programs (SolAccountInfo and so on in Solana's C headers). */
typedef struct {
    u8 *key;
    u64 *lamports;
    u64 data_len;
    u8 *data;
    u8 *owner;
    u64 rent_epoch;
    u8 is_signer, is_writable, executable;
} Account;
typedef struct { u8 *key; u8 is_writable, is_signer; } Meta;
typedef struct { u8 *program; Meta *accounts; u64 account_len; u8 *data; u64 data_len; } Instruction;
typedef struct { const u8 *bytes; u64 len; } Seed;
typedef struct { const Seed *seeds; u64 len; } Signer;
typedef u64 (*Invoke)(const Instruction *, const Account *, int, const Signer *, int);
/* A system call is named by the murmur3 hash of its name; the linker in elf.py turns this into a relocation. */
#define sol_invoke_signed_c ((Invoke)(long)(int)0xa22b9c85)

/* One amount of the plan: what arrived in all, what is left, how much of it is spoken for, and where it lies. */
typedef struct { u64 total, left, spent_bps; const Account *account, *mint, *program; } Slot;

/* The heap is used as plain zeroed memory, because a stack frame has 4 KiB. */
typedef struct { Account accounts[MAX_ACCOUNTS]; Slot slots[MAX_SLOTS]; } Memory;
#define memory ((Memory *)0x300000000ULL)

INLINE u64 u64_at(const u8 *p) { return *(const u64 *)p; }
INLINE u64 u16_at(const u8 *p) { return p[0] | (u64)p[1] << 8; }
INLINE int same_key(const u8 *a, const u8 *b) {
    return u64_at(a) == u64_at(b) && u64_at(a + 8) == u64_at(b + 8) && u64_at(a + 16) == u64_at(b + 16) &&
           u64_at(a + 24) == u64_at(b + 24);
}
/* Accounts that are passed twice share one set of addresses, so that the same account has the same key pointer. */
INLINE int same_account(const Account *a, const Account *b) { return a->key == b->key; }
INLINE u64 amount_of(const Account *a) { return u64_at(a->data + TOKEN_AMOUNT); }

INLINE int is_token_program(const u8 *k) {
    if (u64_at(k) == 0x93a165d7e1f6dd06ULL) /* TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA */
        return u64_at(k + 8) == 0xac79ebce46e1cbd9ULL && u64_at(k + 16) == 0x91375b5fed85b41cULL &&
               u64_at(k + 24) == 0xa900ff7e85f58c3aULL;
    return u64_at(k) == 0xde8f75eee1f6dd06ULL && /* TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb */
           u64_at(k + 8) == 0xdacd6ce4bc5d4218ULL && u64_at(k + 16) == 0x270db9834dfc1ab6ULL &&
           u64_at(k + 24) == 0xfc8ba1d828f9bdfeULL;
}

INLINE int is_token_account(const Account *a, const u8 *mint, const u8 *program) {
    return same_key(a->owner, program) && a->data_len >= TOKEN_ACCOUNT_BYTES && same_key(a->data, mint);
}

/* floor(amount * bps / 10000) without leaving 64 bits; bps <= 10000. */
INLINE u64 share_of(u64 amount, u64 bps) { return amount / BPS * bps + amount % BPS * bps / BPS; }
INLINE u64 share_rounded_up(u64 amount, u64 bps) {
    return amount / BPS * bps + (amount % BPS * bps + BPS - 1) / BPS;
}

/* floor(a * b / d) for b < d: the product in 128 bits by halves, then long division bit by bit. */
INLINE u64 multiply_divide(u64 a, u64 b, u64 d) {
    u64 a0 = (u32)a, a1 = a >> 32, b0 = (u32)b, b1 = b >> 32;
    u64 p00 = a0 * b0, p01 = a0 * b1, p10 = a1 * b0;
    u64 middle = (p00 >> 32) + (u32)p01 + (u32)p10;
    u64 low = middle << 32 | (u32)p00;
    u64 high = a1 * b1 + (p01 >> 32) + (p10 >> 32) + (middle >> 32); /* < d, because b < d */
    NO_UNROLL
    for (int bit = 0; bit < 64; bit++) {
        u64 carry = high >> 63;
        high = high << 1 | low >> 63;
        low <<= 1;
        if (carry || high >= d) {
            high -= d;
            low |= 1;
        }
    }
    return low;
}

/* TransferChecked by the taker's signature or by the pool's seeds. A refusal of the token program ends everything. */
INLINE void transfer(const Account *program, const Account *source, const Account *mint, const Account *destination,
                     const Account *authority, u64 amount, u8 decimals, const u8 *state_key, u8 bump) {
    u8 data[16];
    data[0] = TRANSFER_CHECKED;
    NO_UNROLL
    for (int i = 0; i < 8; i++) data[1 + i] = (u8)(amount >> 8 * i);
    data[9] = decimals;
    Meta metas[4] = {{source->key, 1, 0}, {mint->key, 0, 0}, {destination->key, 1, 0}, {authority->key, 0, 1}};
    Account accounts[4] = {*source, *mint, *destination, *authority};
    u8 word[4] = {'p', 'o', 'o', 'l'};
    Seed seeds[3] = {{word, 4}, {state_key, 32}, {&bump, 1}};
    Signer signer = {seeds, 3};
    Instruction instruction = {program->key, metas, 4, data, 10};
    sol_invoke_signed_c(&instruction, accounts, 4, &signer, 1);
}

/* Swap `amount` from the slot `in` through the pool whose accounts stand at `g`; `*received` is what arrived in `out`. */
INLINE u64 swap(const u8 *program_id, const Account *taker, const Account *g, const Slot *in, const Slot *out,
                u64 amount, u64 *received) {
    const Account *venue = g, *pool = g + 1, *authority = g + 2, *vault_in = g + 3, *vault_out = g + 4;
    const u8 *state = pool->data;
    if (!same_key(pool->owner, program_id) || pool->data_len != STATE_BYTES || u64_at(state) != STATE_MAGIC ||
        u16_at(state + STATE_FEE) >= BPS)
        return NOT_A_POOL;
    if (!same_key(venue->key, state + STATE_VENUE)) return NOT_THE_POOLS_VENUE;
    if (!same_key(authority->key, state + STATE_AUTHORITY)) return NOT_THE_POOLS_AUTHORITY;

    u64 side = same_key(in->mint->key, state + STATE_MINTS) ? 0 : 1, other = 1 - side;
    if (!same_key(in->mint->key, state + STATE_MINTS + 32 * side)) return MINT_NOT_IN_POOL;
    if (!same_key(out->mint->key, state + STATE_MINTS + 32 * other)) return MINT_NOT_IN_POOL;
    if (!same_key(in->program->key, state + STATE_TOKEN_PROGRAMS + 32 * side)) return INCORRECT_TOKEN_PROGRAM;
    if (!same_key(out->program->key, state + STATE_TOKEN_PROGRAMS + 32 * other)) return INCORRECT_TOKEN_PROGRAM;
    if (!same_key(vault_in->key, state + STATE_VAULTS + 32 * side)) return NOT_THE_POOLS_VAULT;
    if (!same_key(vault_out->key, state + STATE_VAULTS + 32 * other)) return NOT_THE_POOLS_VAULT;
    if (!is_token_account(vault_in, in->mint->key, in->program->key) ||
        !is_token_account(vault_out, out->mint->key, out->program->key) ||
        !same_key(vault_in->data + TOKEN_OWNER, authority->key) ||
        !same_key(vault_out->data + TOKEN_OWNER, authority->key))
        return NOT_THE_POOLS_VAULT;

    if (amount == 0) return ZERO_AMOUNT;
    if (amount_of(in->account) < amount) return INSUFFICIENT_FUNDS;
    u64 reserve_in = amount_of(vault_in), reserve_out = amount_of(vault_out);
    if (reserve_in == 0 || reserve_out == 0 || reserve_in + amount < reserve_in) return INVALID_CALCULATION;

    u8 bump = state[STATE_BUMP];
    transfer(in->program, in->account, in->mint, vault_in, taker, amount, state[STATE_DECIMALS + side], pool->key, bump);
    u64 arrived = amount_of(vault_in) - reserve_in;
    u64 net = arrived - share_rounded_up(arrived, u16_at(state + STATE_FEE));
    u64 paid = multiply_divide(reserve_out, net, reserve_in + net);
    if (paid == 0) return ZERO_AMOUNT;

    u64 held = amount_of(out->account);
    transfer(out->program, vault_out, out->mint, out->account, authority, paid, state[STATE_DECIMALS + other], pool->key,
             bump);
    *received = amount_of(out->account) - held;
    return *received == 0 ? ZERO_AMOUNT : 0;
}

/* Lay the runtime's serialized accounts out as an array; the return value points behind them. */
INLINE const u8 *read_accounts(u8 *p, u64 count) {
    NO_UNROLL
    for (u64 i = 0; i < count; i++) {
        Account *a = &memory->accounts[i];
        if (*p != 0xff) {
            *a = memory->accounts[*p];
            p += 8;
            continue;
        }
        a->is_signer = p[1];
        a->is_writable = p[2];
        a->executable = p[3];
        a->key = p + 8;
        a->owner = p + 40;
        a->lamports = (u64 *)(p + 72);
        a->data_len = u64_at(p + 80);
        a->data = p + 88;
        p = (u8 *)(((u64)(a->data + a->data_len) + 10240 + 7) & ~7ULL); /* room to grow, then alignment */
        a->rent_epoch = u64_at(p);
        p += 8;
    }
    return p;
}

__attribute__((section(".text.entry"))) u64 entrypoint(u8 *input) {
    u64 count = u64_at(input);
    if (count < FIXED_ACCOUNTS) return NOT_ENOUGH_ACCOUNT_KEYS;
    if (count > MAX_ACCOUNTS) return INVALID_ROUTE_PLAN;
    const u8 *end = read_accounts(input + 8, count);
    u64 length = u64_at(end);
    const u8 *data = end + 8, *program_id = data + length;

    if (length < 8 || u64_at(data) != ROUTE_V2_TAG) return UNKNOWN_INSTRUCTION;
    if (length < HEADER_BYTES) return INVALID_ROUTE_PLAN;
    u64 in_amount = u64_at(data + 8), quoted = u64_at(data + 16), slippage_bps = u16_at(data + 24);
    u64 steps = u16_at(data + 30) | u16_at(data + 32) << 16;
    if (u16_at(data + 26) != 0) return MISSING_PLATFORM_FEE_ACCOUNT;
    if (slippage_bps > BPS || u16_at(data + 28) != 0) return INVALID_SLIPPAGE;
    if (steps == 0) return EMPTY_ROUTE;
    if (steps > MAX_STEPS || length != HEADER_BYTES + STEP_BYTES * steps) return INVALID_ROUTE_PLAN;
    if (count < FIXED_ACCOUNTS + STEP_ACCOUNTS * steps) return NOT_ENOUGH_ACCOUNT_KEYS;
    u64 minimum = share_rounded_up(quoted, BPS - slippage_bps);

    const Account *accounts = memory->accounts, *taker = accounts, *destination = accounts + 2;
    if (!taker->is_signer) return TAKER_DID_NOT_SIGN;
    if (!same_key(accounts[7].key, program_id) || !same_key(accounts[9].key, program_id)) return INVALID_ROUTE_PLAN;
    if (same_account(accounts + 3, accounts + 4)) return SAME_MINT;
    if (!is_token_program(accounts[5].key) || !is_token_program(accounts[6].key)) return INCORRECT_TOKEN_PROGRAM;
    if (!is_token_account(accounts + 1, accounts[3].key, accounts[5].key) ||
        !is_token_account(destination, accounts[4].key, accounts[6].key))
        return INVALID_TOKEN_ACCOUNT;
    if (in_amount == 0) return ZERO_AMOUNT;
    if (amount_of(accounts + 1) < in_amount) return INSUFFICIENT_FUNDS;

    Slot *slots = memory->slots;
    u64 last = data[HEADER_BYTES + STEP_BYTES * steps - 1];
    if (last == 0 || last >= MAX_SLOTS) return INVALID_OUTPUT_INDEX;
    slots[0].total = slots[0].left = in_amount;
    slots[0].account = accounts + 1;
    slots[0].mint = accounts + 3;
    slots[0].program = accounts + 5;
    slots[last].account = destination;
    slots[last].mint = accounts + 4;
    slots[last].program = accounts + 6;
    u64 held = amount_of(destination);

    NO_UNROLL
    for (u64 i = 0; i < steps; i++) {
        const u8 *step = data + HEADER_BYTES + STEP_BYTES * i;
        const Account *g = accounts + FIXED_ACCOUNTS + STEP_ACCOUNTS * i;
        u64 bps = u16_at(step + 1);
        if (step[0] != TOKEN_SWAP) return INVALID_ROUTE_PLAN;
        if (step[3] >= MAX_SLOTS || slots[step[3]].total == 0) return INVALID_INPUT_INDEX;
        if (step[4] == 0 || step[4] >= MAX_SLOTS) return INVALID_OUTPUT_INDEX;
        Slot *in = &slots[step[3]], *out = &slots[step[4]];
        in->spent_bps += bps;
        if (bps == 0 || in->spent_bps > BPS) return NOT_ENOUGH_PERCENT;
        if (out->spent_bps != 0) return INVALID_OUTPUT_INDEX;

        if (out->account == 0) {
            if (!is_token_program(g[7].key)) return INCORRECT_TOKEN_PROGRAM;
            if (!is_token_account(g + 5, g[6].key, g[7].key)) return INVALID_TOKEN_ACCOUNT;
            out->account = g + 5;
            out->mint = g + 6;
            out->program = g + 7;
        } else if (!same_account(out->account, g + 5) || !same_account(out->mint, g + 6) ||
                   !same_account(out->program, g + 7)) {
            return INVALID_TOKEN_ACCOUNT;
        }

        u64 amount = in->spent_bps == BPS ? in->left : share_of(in->total, bps), received = 0;
        u64 error = swap(program_id, taker, g, in, out, amount, &received);
        if (error) return error;
        in->left -= amount;
        out->total += received;
        out->left += received;
    }

    NO_UNROLL
    for (u64 i = 0; i < MAX_SLOTS; i++)
        if (i != last && slots[i].account != 0 && slots[i].spent_bps != BPS) return NOT_ENOUGH_PERCENT;
    u64 holds = amount_of(destination);
    return holds < held || holds - held < minimum ? SLIPPAGE_TOLERANCE_EXCEEDED : 0;
}
