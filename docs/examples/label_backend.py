"""Let Label Studio show what a catalogue says of each picture: a backend for its predictions.

    pip install fastapi uvicorn httpx
    CATALOG_URL=http://127.0.0.1:8765 uvicorn label_backend:app --port 9090

In Label Studio: Settings, Model, http://127.0.0.1:9090. The labelling interface is a ``Choices``
named ``choice`` over an ``Image`` named ``image``; ``LABEL_STUDIO_URL`` and ``LABEL_STUDIO_KEY``
say where uploaded pictures are fetched from. A choice that is submitted is told to the catalogue.
"""

import os
from typing import Any
from urllib.parse import urljoin

import httpx
from fastapi import FastAPI

CATALOG = os.environ.get("CATALOG_URL", "http://127.0.0.1:8765")
CATALOG_KEY = os.environ.get("CATALOG_KEY", "")
STUDIO = os.environ.get("LABEL_STUDIO_URL", "http://127.0.0.1:8080")
STUDIO_KEY = os.environ.get("LABEL_STUDIO_KEY", "")

app = FastAPI()
catalog = httpx.AsyncClient(
    base_url=CATALOG,
    headers={"authorization": f"Bearer {CATALOG_KEY}"} if CATALOG_KEY else {},
    timeout=60,
)
studio = httpx.AsyncClient(headers={"authorization": f"Token {STUDIO_KEY}"}, timeout=60)
OCTETS = {"content-type": "application/octet-stream"}


async def picture_of(task: dict[str, Any]) -> bytes:
    """The picture of a task."""
    response = await studio.get(urljoin(STUDIO, task["data"]["image"]))
    response.raise_for_status()
    return response.content


@app.get("/health")
async def health() -> dict[str, str]:
    """That the backend is up."""
    return {"status": "UP"}


@app.post("/setup")
async def setup() -> dict[str, str]:
    """What Label Studio asks for when a backend is added."""
    return {"model_version": "catalog"}


@app.post("/predict")
async def predict(asked: dict[str, Any]) -> dict[str, Any]:
    """A choice for each task, with how sure it is; none where the picture is unknown."""
    results = []
    for task in asked["tasks"]:
        response = await catalog.post("/v1/predict", content=await picture_of(task), headers=OCTETS)
        said = response.json()["answers"][0]["prediction"] if response.is_success else None
        choices = [said["label"]] if said and said["verdict"] != "unknown" else []
        results.append(
            {
                "model_version": "catalog",
                "score": (said or {}).get("probability") or 0.0,
                "result": [
                    {
                        "from_name": "choice",
                        "to_name": "image",
                        "type": "choices",
                        "value": {"choices": choices},
                    }
                ]
                if choices
                else [],
            }
        )
    return {"results": results}


@app.post("/webhook")
async def webhook(event: dict[str, Any]) -> dict[str, str]:
    """What someone has chosen, told to the catalogue, once for each annotation."""
    if event.get("action") in {"ANNOTATION_CREATED", "ANNOTATION_UPDATED"}:
        annotation = event["annotation"]
        for one in annotation["result"]:
            for label in one["value"].get("choices", ()):
                await catalog.post(
                    "/v1/feedback",
                    params={"label": label},
                    content=await picture_of(event["task"]),
                    headers=OCTETS | {"idempotency-key": f"{annotation['id']}-{label}"[:255]},
                )
    return {"status": "ok"}
