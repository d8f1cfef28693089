"""Differences that are meant, each with its reason. docs/API.md tells those that a client could care about."""

import re


class Known:
    def __init__(self, reason, scenario=".*", request=".*", place=".*", reference=".*", ours=".*", label=".*"):
        self.reason = reason
        self.patterns = [re.compile(pattern, re.DOTALL) for pattern in (scenario, request, place, reference, ours, label)]

    def covers(self, difference):
        texts = (
            difference.scenario,
            f"{difference.method} {difference.path}",
            difference.place,
            str(difference.reference),
            str(difference.ours),
            difference.label,
        )
        return all(pattern.search(text) for pattern, text in zip(self.patterns, texts, strict=True))


KNOWN = [
    Known("the reference fails with 500, ours does not", place="^status$", reference="^500 ", ours="^(?!500|0 )"),
    Known("the version is that of 2.19, with ours behind it", place="server_version$"),
    Known("405 names the methods that are offered; the reference leaves them out", place="^header allow$", reference="^None$"),
    Known("there is no HEAD, and `Allow` does not promise it", request="^OPTIONS ", place="^header allow$", reference="HEAD"),
    Known("the OpenAPI document is ours", request="^GET docs", place="^body"),
    Known("names do not end in a line break", request="%0A", place="^status$|message$"),
    Known(
        "names do not end in a line break",
        label=r"\\n",
        request="^POST auth/login",
        place="^status$",
        reference="^403",
        ours="^400",
    ),
    Known("there are no remotes", request=" remote/"),
    Known("comments come oldest first", request="/comment$", place="^body order$"),
    Known("416 tells the size of the whole", request="/download", place="^header content-range$", reference="^None$"),
    Known("`bytes=-0` is all of a file in 2.19 and ours, 416 in 2.20", label="bytes=-0$", place="^status$"),
    Known(
        "the tokens of both downloads are the same, as in 2.19",
        request="/download|request/sample",
        place=r"^body\.(token|url)$",
        reference="eyJ",
    ),
    Known("the tokens of both downloads are the same, as in 2.19", request="<<download 1>>", place="^status$", reference="^403"),
    Known(
        "a download by token takes the hash in any case",
        request=r"/[0-9A-F]{64}/download.*token=",
        place="^status$",
        reference="^403",
        ours="^200",
    ),
    Known(
        "numbers come back in the form in which they came",
        place=r"\.(cfg|value|url|metakeys|attributes)\b",
        reference=r"^'?(http://example.com/)?-?\d{16,}'?$|^-?0\.0$",
        ours=r"e\+\d+'?$|^-0\.0$",
    ),
    Known("what is gone is null in shares", request="/share$", place=r"\.(access_reason|related_\w+)$", reference="absent", ours="None"),
    Known("`NOT multi` is the complement", label="NOT.*multi:", place="length$|count$"),
    Known("a text in quotation marks is found by multi", label=r'multi:"\\"mark', place="length$"),
    Known("numbers are ordered as numbers", label=r"\[9 TO 10\]", place="length$"),
    Known("an escaped backslash escapes nothing", label=r"\\\\\*", place="length$"),
    Known("escapes are read once", label=r'cfg\.path:"\*\\x41"|cfg\.obj:"\{\\"k\\"\*"', place="length$"),
    Known(
        "arguments without a meaning are refused, also without Karton",
        label="karton_arguments: ",
        place="^status$",
        reference="^200",
        ours="^400.*Unknown",
    ),
    Known("the object is not stored when an argument is refused", label="karton_arguments: .'(other|1|)'", reference="^200", ours="^404"),
    Known("there are no plugins", request="^GET server/admin", place="plugins_enabled$"),
    Known("a list is no object without members", label=r"b'\[\]'$", place="message$"),
    Known("gunicorn takes the first segment after two slashes for a host", request=" //api/"),
    Known("two slashes are one without a redirect", place="^status$", reference="^308"),
    Known("with pages, unknown routes of the API are 404 for every method", scenario="^web$", place="^status$"),
    Known("HEAD is no method, whoever asks", scenario="^maintenance$", request="^HEAD", place="^status$"),
    Known("lines of a form end in CRLF", label="bare newlines", place="^status$"),
    Known(
        "families and types have 32 characters and no NUL, also of what is there already",
        scenario="^(config|blob)_options$",
        label="(family|config_type|blob_type|blob_name): ",
        place="^status$",
        reference="^200",
        ours="^400",
    ),
    Known("a list is no object without members", label=r"\[\[\]\]$", place="message$"),
    Known(
        "a key `karton` of one's own: analyses go by their own route",
        scenario="^karton$",
        request="^DELETE .*key=karton$",
        place="^status$",
    ),
    Known("a password that was never set has a version, too", request="/change_password$", place=r"^body\.token$"),
]
