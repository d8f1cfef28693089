"""Both servers, each with what it needs, in one temporary folder that ends with them.

MWDB Core is a black box: it is started as its instructions say and asked by its API alone.
"""

import contextlib
import glob
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PASSWORD = "the password of all"
# The same in both, so that a token that was made up can be shown to both.
SECRET = "compare-mwdb"
BASE_URL = "http://127.0.0.1"

SETTINGS = {
    "SECRET_KEY": SECRET,
    "BASE_URL": BASE_URL,
    "ADMIN_LOGIN": "admin",
    "ADMIN_PASSWORD": PASSWORD,
    "ADMIN_EMAIL": "admin@mwdb.local",
    "INSTANCE_NAME": "compare",
    "SERVE_WEB": "0",
    "ENABLE_REGISTRATION": "1",
    "ENABLE_3RD_PARTY_SHARING_CONSENT": "1",
    "MAX_UPLOAD_SIZE": str(4 << 20),
    "LISTING_ENDPOINTS_COUNT_LIMIT": "40",
}


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def program(name, *folders):
    found = shutil.which(name, path=os.pathsep.join([*folders, os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))
    if not found:
        raise SystemExit(f"compare-mwdb: there is no `{name}`; scripts/setup system core installs what is needed")
    return found


class Bucket(BaseHTTPRequestHandler):
    """An S3 that takes everything and keeps nothing: only that a sample is sent matters here."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def _body(self):
        length = self.headers.get("Content-Length")
        if length is not None:
            self.rfile.read(int(length))
        elif "chunked" in self.headers.get("Transfer-Encoding", ""):
            while size := int(self.rfile.readline().split(b";")[0], 16):
                self.rfile.read(size + 2)
            while self.rfile.readline().strip():
                pass

    def _answer(self):
        self._body()
        self.send_response(200)
        self.send_header("ETag", '"0"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_PUT = do_HEAD = do_GET = do_POST = do_DELETE = _answer


class Side:
    """One server: its address, and the port of the Redis of its Karton."""

    def __init__(self, name, port, redis=None):
        self.name, self.port, self.redis = name, port, redis
        # Of the side's own: where its data is.
        self.settings = {"SQLITE_PATH": "mwdb.sqlite", "MAX_FAILED_LOGINS": "0"}


class Bed(contextlib.ExitStack):
    """Starts everything; ends it on leaving."""

    def __init__(self, core, lite, karton, keep_logs=None):
        super().__init__()
        # Without a program of ours the reference is asked twice: what it is not sure of itself shows.
        self.core, self.lite, self.karton, self.keep_logs = core, lite, karton, keep_logs
        self.changes = {}
        self.servers = []

    def __enter__(self):
        super().__enter__()
        self.folder = Path(self.enter_context(tempfile.TemporaryDirectory(prefix="compare-mwdb-")))
        self.folder.chmod(0o755)
        if self.keep_logs:
            self.callback(self._save_logs)
        try:
            self.reference = self._side("reference")
            self.ours = self._side("ours")
            self._prepare_reference(self.reference)
            if not self.lite:
                self._prepare_reference(self.ours)
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def set(self, changes):
        """Starts both again with these settings changed, unless they are set so."""
        if changes == self.changes:
            return
        self.changes = changes
        for process in self.servers:
            self._stop(process)
        self._start()

    def _start(self):
        home = self.folder / self.ours.name
        lite = [self.lite, "run", "--port", str(self.ours.port)]
        self.servers = [
            self._gunicorn(self.reference),
            self._run("ours", lite, cwd=home, env=self._environment(self.ours)) if self.lite else self._gunicorn(self.ours),
        ]
        for side in (self.reference, self.ours):
            self._await(side)

    def _save_logs(self):
        Path(self.keep_logs).mkdir(parents=True, exist_ok=True)
        for log in self.folder.glob("*.log"):
            shutil.copy(log, self.keep_logs)

    def _run(self, name, command, **kwargs):
        log = self.enter_context(open(self.folder / f"{name}.log", "ab"))
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **kwargs)
        self.callback(self._stop, process)
        return process

    @staticmethod
    def _stop(process):
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _side(self, name):
        side = Side(name, free_port())
        home = self.folder / name
        (home / "uploads").mkdir(parents=True)
        if self.karton:
            side.redis = free_port()
            server = shutil.which("valkey-server") or program("redis-server")
            self._run(f"redis-{name}", [server, "--port", str(side.redis), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            bucket = ThreadingHTTPServer(("127.0.0.1", 0), Bucket)
            self.callback(bucket.shutdown)
            threading.Thread(target=bucket.serve_forever, daemon=True).start()
            (home / "karton.ini").write_text(
                f"[redis]\nhost = 127.0.0.1\nport = {side.redis}\n"
                f"[s3]\naddress = http://127.0.0.1:{bucket.server_port}\naccess_key = x\nsecret_key = x\nbucket = karton\n"
            )
        return side

    def _environment(self, side):
        home = self.folder / side.name
        values = SETTINGS | {"UPLOADS_FOLDER": str(home / "uploads"), "ENABLE_KARTON": str(int(self.karton))} | side.settings | self.changes
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TZ") if name in os.environ}
        return kept | {"HOME": str(home)} | {f"MWDB_{name}": value for name, value in values.items()}

    def _postgres(self, name):
        """PostgreSQL refuses to be root."""
        account = {}
        if os.getuid() == 0:
            postgres = pwd.getpwnam("postgres")
            account = {"user": postgres.pw_uid, "group": postgres.pw_gid, "extra_groups": []}
        folders = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
        place = self.folder / f"postgres-{name}"
        place.mkdir()
        if account:
            os.chown(place, account["user"], account["group"])
        data, port = place / "data", free_port()
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
        options = {"cwd": place, "env": environment, **account}
        initdb = [program("initdb", *folders), "-D", str(data), "-U", "mwdb", "-A", "trust", "-E", "UTF8"]
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, **options)
        postgres = [program("postgres", *folders), "-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", str(place), "-c", "fsync=off"]
        process = self._run(f"postgres-{name}", postgres, **options)
        # It ends its connections only when it is told to be quick.
        self.callback(lambda: process.send_signal(2))
        return f"postgresql://mwdb@127.0.0.1:{port}/postgres"

    def _prepare_reference(self, side):
        side.settings = {"POSTGRES_URI": self._postgres(side.name)}
        home, deadline = self.folder / side.name, time.monotonic() + 60
        configure = [program("mwdb-core", self.core), "configure", "--quiet", "basic"]
        while True:
            environment = self._environment(side)
            done = subprocess.run(configure, cwd=home, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
            if done.returncode == 0:
                break
            if time.monotonic() > deadline:
                raise SystemExit(f"compare-mwdb: MWDB Core cannot be configured: {done.stderr.decode()[-2000:]}")
            # PostgreSQL may not be ready yet.
            time.sleep(0.5)

    def _gunicorn(self, side):
        command = [program("gunicorn", self.core), "--no-control-socket", "--workers", "2", f"--bind=127.0.0.1:{side.port}", "mwdb.app:app"]
        return self._run(side.name, command, cwd=self.folder / side.name, env=self._environment(side))

    def _await(self, side):
        deadline = time.monotonic() + 90
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{side.port}/api/ping", timeout=5).close()
                return
            except (urllib.error.URLError, OSError) as error:
                if time.monotonic() > deadline:
                    raise SystemExit(f"compare-mwdb: the {side.name} does not answer: {error}") from error
                time.sleep(0.2)
