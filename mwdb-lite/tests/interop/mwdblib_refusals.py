"""Makes mwdblib run into every refusal that it knows by name, and fails at the first other one.

Arguments: API URL, login, password of the administrator, then the step. The server has the settings that the
step needs: `limits` one upload of at most a megabyte in five seconds, `maintenance` that.
"""

import sys
import time
import warnings

from mwdblib import MWDB
from mwdblib.exc import (
    InvalidCredentialsError,
    LimitExceededError,
    MaintenanceUnderwayError,
    ObjectTooLargeError,
    PermissionError,
    UserDisabledError,
    UserPendingError,
)
from refusals import refused

url, login, password, step = sys.argv[1:]


def client(*credentials, **options):
    mwdb = MWDB(api_url=url, config_path=None, **options)
    mwdb.login(*credentials)
    return mwdb


def account(admin, name):
    admin.api.post(f"user/{name}", json={"email": f"{name}@example.com", "additional_info": "interop"})
    token = admin.api.get(f"user/{name}/change_password")["token"]
    admin.api.post("auth/change_password", json={"token": token, "password": password}, noauth=True)


if step == "limits":
    admin = client(login, password)
    refused(ObjectTooLargeError, admin.upload_file, "large", bytes(1 << 20))
    assert admin.count_files() == 0
    account(admin, "limited")
    admin.api.put("group/registered", json={"capabilities": ["adding_files"]})
    limited = client("limited", password, obey_ratelimiter=False)
    limited.upload_file("first", b"first")
    refused(LimitExceededError, limited.upload_file, "second", b"second")
    # The library waits as long as the server says, and no longer.
    patient = client("limited", password)
    start = time.monotonic()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        patient.upload_file("second", b"second")
    assert any("Rate limit exceeded" in str(warning.message) for warning in seen), seen
    assert time.monotonic() - start < 15
    # Who may not
    refused(PermissionError, limited.upload_blob, "n", "t", "c")
    refused(PermissionError, limited.upload_config, "f", {})
    refused(PermissionError, limited.api.get, "user")
    file = next(limited.recent_files())
    for call in (file.remove, file.reanalyze):
        refused(PermissionError, call)
    refused(PermissionError, file.add_tag, "tag")
    refused(PermissionError, file.remove_tag, "tag")
    refused(PermissionError, file.add_comment, "comment")
    refused(PermissionError, file.add_child, file)
    # Who is not let in
    refused(InvalidCredentialsError, client, "limited", "wrong")
    refused(InvalidCredentialsError, client, "nobody", password)
    admin.api.put("user/limited", json={"disabled": True})
    refused(UserDisabledError, client, "limited", password)
    refused(UserDisabledError, limited.count)
    body = {"login": "waiting", "email": "waiting@example.com", "additional_info": "interop"}
    admin.api.post("auth/register", json=body, noauth=True)
    token = admin.api.get("user/waiting/change_password")["token"]
    admin.api.post("auth/change_password", json={"token": token, "password": password}, noauth=True)
    refused(UserPendingError, client, "waiting", password)
    account(admin, "later")
else:
    assert step == "maintenance", step
    admin = client(login, password)
    assert admin.count_files() == 2
    refused(MaintenanceUnderwayError, client, "later", password)
print("null")
