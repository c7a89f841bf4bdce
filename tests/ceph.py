"""A private Ceph with its S3 gateway, over HTTPS: a store that telephone companies run."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from tests.postgres import free_port
from tests.s3 import KEY, SECRET, S3Server
from tests.server import until

CONFIGURATION = """
[global]
fsid = {fsid}
mon host = [v1:127.0.0.1:{monitor}]
mon initial members = a
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
keyring = {folder}/keyring
run dir = {folder}/run
admin socket = {folder}/run/$name.asok
log file = {folder}/log/$name.log
pid file = {folder}/run/$name.pid
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
mon allow pool size one = true
osd crush chooseleaf type = 0
mon data avail crit = 1
mon data avail warn = 1
mon max pg per osd = 1000
ms bind msgr2 = false
[mon.a]
mon addr = 127.0.0.1:{monitor}
mon data = {folder}/mon
[osd.0]
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = 4294967296
osd class load list = *
osd class default list = *
[client.rgw.a]
rgw frontends = beast ssl_endpoint=127.0.0.1:{port} ssl_certificate={folder}/tls.pem
rgw enable usage log = false
"""


class CephServer(S3Server):
    """Context manager: Ceph with a disk in memory, and an empty bucket at `url`."""

    scheme = "s3"

    def __init__(self, folder: Path):
        self.folder, self.port = folder, free_port()
        self.certificate = folder / "tls.pem"

    def __enter__(self):
        for name in ("mon", "osd", "run", "log"):
            (self.folder / name).mkdir()
        values = {"fsid": uuid4(), "monitor": free_port(), "port": self.port}
        text = CONFIGURATION.format(folder=self.folder, **values)
        (self.folder / "ceph.conf").write_text(text)
        try:
            self.build(values["fsid"], values["monitor"])
            return super().__enter__()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *error):
        for path in (self.folder / "run").glob("*.pid"):
            with suppress(ProcessLookupError, ValueError):
                os.kill(int(path.read_text()), signal.SIGKILL)

    def build(self, fsid, monitor):
        """Make the certificate and the cluster, and start all of it but the gateway."""
        keyring, monitors = self.folder / "keyring", self.folder / "monmap"
        self.run(
            "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1"
            f" -addext subjectAltName=IP:127.0.0.1 -keyout {self.folder}/key -out {self.folder}/crt"
        )
        pem = (self.folder / "key").read_bytes() + (self.folder / "crt").read_bytes()
        self.certificate.write_bytes(pem)
        create = f"ceph-authtool --create-keyring {keyring} --gen-key -n mon. --cap mon"
        self.run(create, "allow *")
        caps = [word for part in ("mon", "osd", "mgr") for word in ("--cap", part, "allow *")]
        self.run(f"ceph-authtool {keyring} --gen-key -n client.admin", *caps)
        self.run(f"monmaptool --create --addv a [v1:127.0.0.1:{monitor}] --fsid {fsid} {monitors}")
        self.run(f"ceph-mon --mkfs -i a --monmap {monitors} --keyring {keyring}")
        self.run("ceph-mon -i a")
        disk = uuid4()
        self.run(f"ceph osd new {disk}")
        self.run(f"ceph-osd -i 0 --mkfs --osd-uuid {disk} --monmap {monitors}")
        until(self.starts_disk)

    def starts_disk(self) -> bool:
        """Start the disk. Its first command may be too early, which ends it at once."""
        with suppress(subprocess.CalledProcessError):
            self.run("ceph-osd -i 0")
            return True
        return False

    def run(self, command, *arguments):
        subprocess.run(
            [*command.split(), *arguments],
            env=os.environ | {"CEPH_CONF": str(self.folder / "ceph.conf")},
            check=True,
            capture_output=True,
            timeout=120,
        )

    def start(self):
        self.run("radosgw -n client.rgw.a")
        until(self.is_up)
        with suppress(subprocess.CalledProcessError):  # it exists after a restart
            create = "radosgw-admin user create --uid=mailboxes --display-name=mailboxes"
            self.run(f"{create} --access-key={KEY} --secret-key={SECRET}")

    def stop(self):
        path = next((self.folder / "run").glob("*rgw*.pid"))
        pid = int(path.read_text())
        os.kill(pid, signal.SIGKILL)
        path.unlink()
        while Path(f"/proc/{pid}").exists():
            time.sleep(0.05)
