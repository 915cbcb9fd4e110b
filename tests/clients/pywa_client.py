"""pywa, the common Python client of the WhatsApp Cloud API, unchanged, against the stand-in of Meta.

It plays both ends: a client that sends, and a webhook that checks signatures and parses what it is told. The test
that runs this script (tests/it/clients.rs) reads the line `listening PORT`, points the stand-in at that port, lets a
person write, and lets the stand-in refuse by words in the message. Prints one line for each thing that it has checked.
"""

import logging
import os
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import httpx
import pywa
from pywa import errors, types, utils

# Far beyond what anything here takes; the test has a limit of its own.
PATIENCE_S = 30

PERSON = os.environ["PERSON"]

updates = queue.Queue()

# pywa warns of the forged webhook, which is there to be refused.
logging.getLogger("pywa").setLevel(logging.ERROR)


def client(token):
    session = httpx.Client(timeout=PATIENCE_S)
    whatsapp = pywa.WhatsApp(
        phone_id=os.environ["WHATSAPP_PHONE_NUMBER_ID"],
        waba_id=os.environ["WHATSAPP_BUSINESS_ACCOUNT_ID"],
        token=token,
        session=session,
        app_secret=os.environ["WHATSAPP_APP_SECRET"],
        verify_token=os.environ["WHATSAPP_VERIFY_TOKEN"],
    )
    # pywa has no option for another host, but uses the session it is given.
    version = session.base_url.path.strip("/")
    session.base_url = f"{os.environ['WHATSAPP_BASE_URL']}/{version}"
    return whatsapp


whatsapp = client(os.environ["WHATSAPP_ACCESS_TOKEN"])


@whatsapp.on_message
def on_message(_, message):
    updates.put(message)


@whatsapp.on_message_status
def on_status(_, status):
    updates.put(status)


class Webhook(BaseHTTPRequestHandler):
    """Hands requests to pywa, and pywa's answers back."""

    # Connections stay open, as with every server that Meta calls. Python's default is HTTP/1.0.
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        query = parse_qs(urlsplit(self.path).query)
        token, challenge = query[utils.HUB_VT][0], query[utils.HUB_CH][0]
        self.answer(*whatsapp.webhook_challenge_handler(vt=token, ch=challenge))

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        refused = whatsapp.webhook_update_validator(body, self.headers.get(utils.HUB_SIG))
        self.answer(*(refused or whatsapp.webhook_update_handler(body)))

    def answer(self, text, status):
        body = text.encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Nothing: stdout says what was checked."""


def next_update(kind):
    update = updates.get(timeout=PATIENCE_S)
    assert isinstance(update, kind), update
    return update


def next_update_of(kind, is_wanted):
    """The next update of this kind that is wanted; what comes before it is of no interest."""
    while True:
        update = updates.get(timeout=PATIENCE_S)
        if isinstance(update, kind) and is_wanted(update):
            return update


def refusal(error, act):
    """The error of this class that `act` leads to."""
    try:
        act()
    except error as refused:
        assert type(refused) is error, type(refused)
        return refused
    raise AssertionError(f"no {error.__name__}")


server = ThreadingHTTPServer(("127.0.0.1", 0), Webhook)
threading.Thread(target=server.serve_forever, daemon=True).start()
print("listening", server.server_port, flush=True)

message = next_update(types.Message)
assert message.type is types.MessageType.TEXT, message
assert message.text == "perché no? 🍝", message.text
assert (message.from_user.wa_id, message.from_user.name) == (PERSON, "Lucia"), message.from_user
assert message.metadata.phone_number_id == os.environ["WHATSAPP_PHONE_NUMBER_ID"], message.metadata
print("checked: the signature of a webhook; a text message with accents, its sender and its number")

sent = whatsapp.send_text(to=PERSON, text="eccomi", tracker="part-1")
assert sent.id.startswith("wamid."), sent
seen = []
while len(seen) < 3:
    status = next_update(types.MessageStatus)
    assert (status.id, status.tracker) == (sent.id, "part-1"), status
    seen.append(status.status)
wanted = {types.MessageStatusType.SENT, types.MessageStatusType.DELIVERED, types.MessageStatusType.READ}
assert set(seen) == wanted, seen
print("checked: a text that is sent, and its three statuses with our tag")

assert message.mark_as_read(), "not marked as read"
message.indicate_typing()
print("checked: read receipt and typing")

replied = message.reply_text("rispondo")
assert replied.id.startswith("wamid.") and replied.id != sent.id, replied
print("checked: a reply to the person's user id")

fast = refusal(errors.TooManyMessages, lambda: whatsapp.send_text(to=PERSON, text="refuse: too fast"))
assert (fast.code, fast.status_code) == (131056, 429), fast
gone = refusal(errors.MessageUndeliverable, lambda: whatsapp.send_text(to=PERSON, text="refuse: undeliverable"))
assert (gone.code, gone.status_code) == (131026, 400), gone
stranger = client("a-token-of-somebody-else")
denied = refusal(errors.ExpiredAccessToken, lambda: stranger.send_text(to=PERSON, text="ciao"))
assert (denied.code, denied.type) == (190, "OAuthException"), denied
print("checked: errors in pywa's own classes")

message = next_update_of(types.Message, lambda message: message.type is types.MessageType.AUDIO)
assert message.audio.voice, message.audio
note = message.audio.get_bytes()
assert note.startswith(b"OggS"), note[:40]
assert int(whatsapp.get_media_url(message.audio.id).file_size) == len(note)
print("checked: a voice note that a person sends, looked up and downloaded")

sent = whatsapp.send_voice(to=PERSON, voice=note, mime_type="audio/ogg; codecs=opus", tracker="part-2")
played = next_update_of(types.MessageStatus, lambda status: status.status is types.MessageStatusType.PLAYED)
assert (played.id, played.tracker) == (sent.id, "part-2"), played
print("checked: a voice note that is uploaded, sent and played")
