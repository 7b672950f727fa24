# syntax=docker/dockerfile:1
# One service:               docker build --build-arg SERVICE=registry --tag rapport/registry .
# The development programs:  docker build --build-arg SERVICE=rapport-stack --target workbench --tag rapport/workbench .
ARG SERVICE

FROM ghcr.io/astral-sh/uv:0.13.9 AS uv

FROM python:3.11-slim-bookworm AS build
COPY --from=uv /uv /usr/local/bin/
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1 UV_PROJECT_ENVIRONMENT=/venv UV_CACHE_DIR=/cache
WORKDIR /source

# Of the whole workspace only what says who needs what: a change of code leaves every layer below as it is.
FROM build AS manifests
COPY . .
RUN mkdir /manifests && find . -name pyproject.toml -o -name uv.lock | xargs cp --parents --target-directory /manifests

FROM build AS third-party
COPY --from=manifests /manifests .
ARG SERVICE
RUN --mount=type=cache,target=/cache \
    uv sync --locked --no-dev --no-install-workspace --package "$SERVICE" && \
    uv export --locked --no-dev --package "$SERVICE" --format cyclonedx1.5 --quiet --output-file /sbom.cdx.json

FROM build AS service-code
ARG SERVICE
COPY libs/events libs/events
COPY libs/ports libs/ports
COPY libs/chassis libs/chassis
COPY services/$SERVICE services/$SERVICE
RUN --mount=type=cache,target=/cache \
    uv pip install --no-deps --no-sources --target /code libs/events libs/ports libs/chassis "services/$SERVICE"

FROM build AS workbench-code
COPY libs/stack libs/stack
RUN --mount=type=cache,target=/cache \
    uv pip install --no-deps --no-sources --target /code libs/stack

FROM python:3.11-slim-bookworm AS runtime
ENV PATH=/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
COPY --from=third-party /venv /venv
COPY --from=third-party /sbom.cdx.json /

# Issuer, inbox and span store of the demo: for development only.
FROM runtime AS workbench
COPY --from=workbench-code /code /venv/lib/python3.11/site-packages
RUN install --directory --owner 10001 --group 10001 --mode 0700 /data
USER 10001:10001
VOLUME /data
EXPOSE 8080 2525
ENTRYPOINT ["python", "-m", "rapport_stack.workbench", "--folder", "/data", "--host", "0.0.0.0", "--port", "8080", "--smtp-port", "2525"]
HEALTHCHECK --interval=10s --timeout=5s --retries=6 --start-period=300s --start-interval=1s CMD ["python", "-ISc", "import socket; socket.create_connection(('127.0.0.1', 8080), 2)"]

# Give it "<service> api" or "<service> worker".
FROM runtime AS service
COPY --from=service-code /code /venv/lib/python3.11/site-packages
USER 10001:10001
ENV RAPPORT_HTTP_HOST=0.0.0.0 RAPPORT_HTTP_PORT=8000 RAPPORT_PRIVATE_PORT=9000
EXPOSE 8000 9000
ENTRYPOINT ["python", "-m", "rapport_chassis"]
# Ready, in its own words; a socket by hand, as it is asked every ten seconds in ten containers.
HEALTHCHECK --interval=10s --timeout=5s --retries=6 --start-period=300s --start-interval=1s CMD ["python", "-ISc", "import socket, sys; s = socket.create_connection(('127.0.0.1', 9000), 2); s.send(b'GET /readyz HTTP/1.0\\r\\n\\r\\n'); sys.exit(b' 200 ' not in s.recv(64))"]
