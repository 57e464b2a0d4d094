# One image for every part of a cluster: workers, beat, Flower, and the command line. docker-compose.yml runs it.
# What is installed is named, by version and hash, in two lock files that `make lock` writes. No sandbox, no dev tools.

FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
# The environment gets no pip of its own: the one outside fills it.
RUN python -m venv --without-pip /opt/sniperforge
COPY requirements-production.lock ./
RUN pip --python /opt/sniperforge/bin/python install --require-hashes --only-binary :all: -r requirements-production.lock
COPY tools/build-requirements.lock tools/
RUN pip install --require-hashes --only-binary :all: -r tools/build-requirements.lock
COPY pyproject.toml README.md LICENSE beat_schedule.py ./
COPY configs configs
COPY sniperforge sniperforge
COPY workers workers
RUN pip wheel --no-deps --no-index --no-build-isolation --wheel-dir dist . \
 && pip --python /opt/sniperforge/bin/python install --no-deps --no-index dist/*.whl

FROM python:3.11-slim-bookworm
# Owners of secret files and of volumes are numbers: this one is in docs/guides/cluster.md, too.
RUN groupadd --gid 10001 sniperforge \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/sniperforge --shell /usr/sbin/nologin sniperforge \
 && install --directory --owner 10001 --group 10001 --mode 0700 /var/lib/sniperforge
COPY --from=build /opt/sniperforge /opt/sniperforge
ENV PATH=/opt/sniperforge/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 SNIPERFORGE_HOME=/var/lib/sniperforge
USER 10001:10001
WORKDIR /var/lib/sniperforge
VOLUME /var/lib/sniperforge
# SIGTERM drains: a worker lets each trade end its step.
STOPSIGNAL SIGTERM
ENTRYPOINT ["sniperforge"]
CMD ["--help"]
