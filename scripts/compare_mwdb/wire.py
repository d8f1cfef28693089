"""One HTTP request, sent as it is meant, and its answer, read as it comes."""

import http.client
import json
import socket
import uuid

# Those that a client can see the difference of.
HEADERS = (
    "content-type",
    "content-disposition",
    "content-range",
    "content-length",
    "accept-ranges",
    "allow",
    "www-authenticate",
    "cache-control",
    "etag",
    "last-modified",
    "location",
    "vary",
    "access-control-allow-origin",
    "content-encoding",
    "expires",
    "set-cookie",
)


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.body = status, body
        self.headers = {name: value for name, value in headers.items() if name in HEADERS}
        if self.headers.get("content-type", "").startswith("application/json"):
            # Spelling of JSON is free, and so is its length.
            self.headers.pop("content-length", None)

    @property
    def json(self):
        return json.loads(self.body)


class Multipart:
    """A form. Each part: name, content, file name or None, content type or None."""

    def __init__(self, *parts):
        self.parts = parts

    def encode(self):
        boundary = uuid.uuid4().hex
        out = []
        for name, content, *more in self.parts:
            filename, content_type = (*more, None, None)[:2]
            head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'
            if filename is not None:
                head += f'; filename="{filename}"'
            if content_type:
                head += f"\r\nContent-Type: {content_type}"
            content = content.encode() if isinstance(content, str) else content
            out.append(head.encode() + b"\r\n\r\n" + content + b"\r\n")
        return b"".join(out) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def send(port, method, path, body=None, headers=None):
    headers = dict(headers or {})
    content_type = None
    if isinstance(body, Multipart):
        body, content_type = body.encode()
    elif body is not None and not isinstance(body, bytes):
        body, content_type = json.dumps(body).encode(), "application/json"
    if content_type:
        headers.setdefault("Content-Type", content_type)
    if body is None and method in ("POST", "PUT", "PATCH"):
        body = b""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        for name, value in headers.items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders()
        if body:
            try:
                connection.send(body)
            except (BrokenPipeError, ConnectionResetError):
                # Refused before all of it was read: there may be an answer all the same.
                pass
        answer = connection.getresponse()
        return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    except (ConnectionError, http.client.HTTPException, TimeoutError) as error:
        return Reply(0, {}, f"{type(error).__name__}: {error}".encode())
    finally:
        connection.close()


def redis(port, *command):
    """What a Redis answers to one command; texts only."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection, connection.makefile("rb") as answer:
        words = [word.encode() for word in command]
        connection.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
        return _redis_value(answer)


def _redis_value(answer):
    line = answer.readline().rstrip().decode()
    kind, rest = line[0], line[1:]
    if kind == "*":
        return [_redis_value(answer) for _ in range(int(rest))]
    if kind == "$":
        return answer.read(int(rest) + 2)[:-2].decode() if int(rest) >= 0 else None
    if kind == "-":
        raise OSError(rest)
    return rest
