"""Ask a catalogue over HTTP: ``python client.py photo.jpg ...``.

``CATALOG_URL`` says where it is, and ``CATALOG_KEY`` is a key, if keys are asked for.
"""

import os
import sys
import time
from pathlib import Path

import httpx

ADDRESS = os.environ.get("CATALOG_URL", "http://127.0.0.1:8765")
KEY = os.environ.get("CATALOG_KEY")


def main(photos: list[Path]) -> int:
    """Say which class each photo is."""
    headers = {"authorization": f"Bearer {KEY}"} if KEY else {}
    if not photos:
        sys.exit("usage: python client.py photo.jpg ...")
    with httpx.Client(
        base_url=ADDRESS,
        headers=headers,
        timeout=30,
        transport=httpx.HTTPTransport(retries=3),  # of connections that are not made
    ) as client:
        parts = [("picture", (photo.name, photo.read_bytes())) for photo in photos]
        try:
            response = client.post("/v1/predict", params={"top": 3}, files=parts)
            while response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
                time.sleep(int(response.headers.get("retry-after", "1")))
                response = client.post("/v1/predict", params={"top": 3}, files=parts)
        except httpx.TransportError as error:
            sys.exit(f"{ADDRESS} cannot be reached: {error}")
        if response.is_error:
            print(response.json()["detail"], file=sys.stderr)
            return 1
        for answer in response.json()["answers"]:
            if "refused" in answer:
                print(f"{answer['picture']}: refused, {answer['detail']}")
            else:
                said = answer["prediction"]
                print(f"{answer['picture']}: {said['label']} ({said['verdict']})")
    return 0


if __name__ == "__main__":
    sys.exit(main([Path(name) for name in sys.argv[1:]]))
