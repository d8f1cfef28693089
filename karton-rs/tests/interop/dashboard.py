"""The pages of the real karton-dashboard, asked for inside its process: prints one JSON object.

usage: dashboard.py   (in a folder with karton.ini)
"""

import json

from karton.dashboard import app

client = app.test_client()
print(
    json.dumps(
        {
            "queues": client.get("/api/queues").get_json(),
            "services": client.get("/services").get_data(as_text=True),
            "metrics": client.get("/varz").get_data(as_text=True),
        }
    )
)
