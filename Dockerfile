FROM python:3.11-slim

WORKDIR /srv/mailboxes
RUN useradd --system --home-dir /srv/mailboxes mailboxes

# pg_dump and pg_restore for backups. Their version must be PostgreSQL's or newer.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends postgresql-client \
    && rm -rf /var/lib/apt/lists/*

COPY requirements/run.txt requirements/
RUN pip install --no-cache-dir --require-hashes --requirement requirements/run.txt

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
HEALTHCHECK CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=3)"]
CMD ["python", "manage.py", "serve", "--host", "0.0.0.0"]
