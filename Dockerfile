# The image that it builds on, which must be Debian 12 or later: `--build-arg BASE=…` for another.
ARG BASE=docker.io/library/debian:bookworm-slim
FROM ${BASE}

# pg_dump and pg_restore for backups. Their version must be PostgreSQL's or newer.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-venv postgresql-client \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --home-dir /srv/mailboxes mailboxes

WORKDIR /srv/mailboxes
COPY requirements/run.txt requirements/
RUN python3 -m venv .venv \
    && .venv/bin/pip install --no-cache-dir --require-hashes --requirement requirements/run.txt
ENV PATH=/srv/mailboxes/.venv/bin:$PATH

COPY manage.py ./
COPY config config
COPY mailboxes mailboxes
COPY templates templates
COPY static static
COPY docs docs

# The settings need keys; these are temporary, only for collectstatic.
RUN SECRET_KEY="$(python -c 'import secrets; print(secrets.token_urlsafe(50))')" \
    PASS_CODE_KEYS="$(python -c 'import base64, secrets; print(base64.b64encode(secrets.token_bytes(32)).decode())')" \
    ALLOWED_HOSTS=localhost \
    python manage.py collectstatic --noinput --verbosity 0 \
    && chown -R mailboxes: var

USER mailboxes
EXPOSE 8000
CMD ["python", "manage.py", "serve", "--host", "0.0.0.0"]
