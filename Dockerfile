# The broker in a container. Any Debian-like base with python3, its venv module and pip will do: --build-arg BASE=...
ARG BASE=python:3.13-slim-bookworm

FROM ${BASE} AS build
WORKDIR /src
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY ophl7 ophl7
COPY handlers handlers
COPY plugins plugins
# Everything from the lock, by hash; then the project itself, which brings nothing more.
RUN python3 -m venv /opt/ophl7 \
    && /opt/ophl7/bin/python -m pip install --no-cache-dir --no-compile --require-hashes -r constraints.txt \
    && /opt/ophl7/bin/python -m pip install --no-cache-dir --no-deps --no-build-isolation .

FROM ${BASE}
COPY --from=build /opt/ophl7 /opt/ophl7
RUN groupadd --gid 10001 ophl7 \
    && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin ophl7 \
    && install -d -o 10001 -g 10001 -m 0700 /data \
    && install -d -m 0755 /etc/ophl7/handlers /etc/ophl7/plugins
ENV PATH=/opt/ophl7/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    OPHL7_PM_LISTEN=0.0.0.0:2575 \
    OPHL7_EMR_LISTEN=0.0.0.0:2576 \
    OPHL7_HTTP_LISTEN=0.0.0.0:8080 \
    OPHL7_DATABASE_URL=sqlite:////data/ophl7.db \
    OPHL7_TIMEZONE=required \
    OPHL7_HANDLERS_PATH=/etc/ophl7/handlers \
    OPHL7_PLUGINS_PATH=/etc/ophl7/plugins
USER 10001:10001
VOLUME /data
EXPOSE 2575 2576 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["ophl7", "health"]
ENTRYPOINT ["ophl7"]
CMD ["serve"]
