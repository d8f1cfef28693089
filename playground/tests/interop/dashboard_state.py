"""What the real karton-dashboard shows: its queues and its page of services, as JSON.

usage: dashboard_state.py KARTON_INI
"""

import json
import os
import sys

os.environ["KARTON_CONFIG_FILE"] = sys.argv[1]

from karton.dashboard.app import app  # noqa: E402


def main() -> None:
    client = app.test_client()
    queues = client.get("/api/queues").get_json()
    services = client.get("/services").get_data(as_text=True)
    print(json.dumps({"queues": queues, "services": services}))


if __name__ == "__main__":
    main()
