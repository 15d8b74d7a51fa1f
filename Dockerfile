# The broker in a container. Any Debian-like base with python3 (3.11 or newer) and its venv module will do: --build-arg BASE=...
ARG BASE=python:3.13-slim-bookworm

# What is installed changes seldom: a stage of its own, made from the lock alone.
FROM ${BASE} AS packages
# Names out of the lock: what makes the wheel, and what the broker stands on. No tool of the tests gets in, and nothing without its
# hash (docs/decisions/0029). A name that is missing fails `pip check`; tests/packaging/test_image_file.py says what to write here.
ARG MAKES="hatchling packaging pathspec pluggy tomlkit trove-classifiers"
ARG RUNS="aiosqlite annotated-types anyio click h11 hl7 hl7apy idna jinja2 markupsafe prometheus-client pydantic pydantic-core \
pydantic-settings python-dotenv starlette structlog typing-extensions typing-inspection tzdata uvicorn uvloop"
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1 PIP_NO_DEPS=1
WORKDIR /src
COPY constraints.txt ./
RUN locked() { awk -v names=" $* " '/^[a-z]/ { split($1, pin, "=="); keep = index(names, " " pin[1] " ") } keep' constraints.txt; } \
    && locked $MAKES > /tmp/makes.txt && locked $RUNS > /tmp/runs.txt \
    && python3 -m venv /opt/make && python3 -m venv --without-pip /opt/ophl7 \
    && /opt/make/bin/pip install --quiet --require-hashes --only-binary :all: -r /tmp/makes.txt \
    && /opt/make/bin/pip --python /opt/ophl7/bin/python install --quiet --require-hashes --only-binary :all: -r /tmp/runs.txt

FROM packages AS build
COPY pyproject.toml README.md LICENSE ./
COPY ophl7 ophl7
COPY handlers handlers
COPY plugins plugins
# Compiled here and never again: at run time nothing is written, and no file's date decides whether its compiled form is used.
RUN /opt/make/bin/python -m hatchling build -t wheel -d /tmp/wheel \
    && /opt/make/bin/pip --python /opt/ophl7/bin/python install --quiet --no-index /tmp/wheel/*.whl \
    && /opt/make/bin/pip --python /opt/ophl7/bin/python check \
    && /opt/ophl7/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/ophl7/lib

FROM ${BASE}
COPY --from=build /opt/ophl7 /opt/ophl7
# The last line: slim bases come without the compiled standard library, and a health check each half minute would pay for it.
RUN groupadd --gid 10001 ophl7 \
    && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin ophl7 \
    && install -d -o 10001 -g 10001 -m 0700 /data \
    && install -d -m 0755 /etc/ophl7/handlers /etc/ophl7/plugins \
    && /opt/ophl7/bin/python -c "import ophl7.app, ophl7.cli.health, ophl7.cli.serve, uvloop"
ENV PATH=/opt/ophl7/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    OPHL7_PM_LISTEN=0.0.0.0:2575 \
    OPHL7_EMR_LISTEN=0.0.0.0:2576 \
    OPHL7_HTTP_LISTEN=0.0.0.0:8080 \
    OPHL7_DATABASE_URL=sqlite:////data/ophl7.db \
    OPHL7_TIMEZONE=required \
    OPHL7_LOG_FORMAT=json \
    OPHL7_HANDLERS_PATH=/etc/ophl7/handlers \
    OPHL7_PLUGINS_PATH=/etc/ophl7/plugins
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 2575 2576 8080
# Asks /readyz over loopback: the database was written to within the last seconds, both listeners listen, there is room on the disk.
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s CMD ["ophl7", "health"]
ENTRYPOINT ["ophl7"]
CMD ["serve"]
ARG BASE
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="ophl7" \
    org.opencontainers.image.description="An HL7 v2 broker between a practice management system and an EMR" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.base.name="${BASE}" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
