"""What runs the queue: the Celery app, the task base, and one short task body per thing that happens unattended."""
