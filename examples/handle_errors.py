"""Tell apart what can go wrong, by class and by field and never by text.

python examples/handle_errors.py [BASE_URL]
"""

from __future__ import annotations

import sys

import client
from client.testing import LoopbackServer


def fetch(url: str) -> str:
    try:
        response = client.get(url, timeout=client.Timeouts(connect=3, read=1, total=5))
        response.raise_for_status()
        return f"ok: {len(response.json()['headers'])} header fields"
    except client.HTTPError as error:
        return f"refused: {error.response.status_code}"
    except client.JSONDecodeError:
        return "no JSON"
    except client.InvalidRequest as error:
        return f"our mistake, nothing was sent: {type(error).__name__}"
    except client.Timeout as error:
        return f"too slow: {type(error).__name__}"
    except client.ConnectError:
        return "not reached: nothing was sent, so trying again is safe"
    except client.ConnectionError as error:
        return f"broke off after {error.bytes_sent} bytes were sent: {type(error).__name__}"
    except client.RequestException as error:  # the root of all of them, an OSError
        return f"failed: {type(error).__name__}"


def main(base_url: str) -> list[str]:
    targets = ["/echo", "/status/404", "/bytes/10", "/delay/30"]
    others = ["http://127.0.0.1:9/", "http://user@@host/", "gopher://example.com/"]
    return [fetch(url) for url in [*(base_url + target for target in targets), *others]]


if __name__ == "__main__":
    with LoopbackServer() as server:
        print(*main(sys.argv[1] if len(sys.argv) > 1 else server.url), sep="\n")
