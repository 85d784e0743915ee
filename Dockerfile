# The server and batches, on a processor: docs/server.md says how to build and run it.
FROM python:3.13-slim

WORKDIR /isomer
COPY pyproject.toml README.md LICENSE ./
COPY LICENSES LICENSES
COPY src src
ENV PIP_NO_CACHE_DIR=1
RUN python3 -m venv .venv && .venv/bin/pip install ".[serve,cluster]"

RUN useradd --create-home --uid 1000 isomer && mkdir /jobs && chown isomer /jobs
USER isomer
VOLUME /jobs
EXPOSE 8000
HEALTHCHECK --start-period=30s CMD ["python3", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health', timeout=5)"]
ENTRYPOINT ["/isomer/.venv/bin/isomer"]
CMD ["serve", "--host", "0.0.0.0", "--data", "/jobs"]
