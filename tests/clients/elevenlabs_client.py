"""ElevenLabs' official client, unchanged, against the stand-in of ElevenLabs.

The test that runs this script (tests/it/clients.rs) lets the stand-in refuse by words in the text, and gives so many
characters that the last text is one too many. The first request is the one that the product makes too: the stand-in
keeps both, and a test compares them. Prints one line for each thing that it has checked.
"""

import os

from elevenlabs import ElevenLabs
from elevenlabs.core import ApiError
from elevenlabs.errors import UnprocessableEntityError

VOICE = os.environ["ELEVENLABS_VOICE_ID"]
MODEL = os.environ["ELEVENLABS_MODEL"]
FORMAT = os.environ["ELEVENLABS_FORMAT"]

def client(key=os.environ["ELEVENLABS_API_KEY"]):
    return ElevenLabs(base_url=os.environ["ELEVENLABS_BASE_URL"], api_key=key)


elevenlabs = client()


def speak(text, using=elevenlabs, voice=VOICE, model=MODEL, form=FORMAT):
    return b"".join(using.text_to_speech.convert(voice, text=text, model_id=model, output_format=form))


def refusal(status, text="ciao", error=ApiError, **options):
    """The detail of the error, under this HTTP status, that speaking leads to."""
    try:
        speak(text, **options)
    except error as refused:
        assert refused.status_code == status, refused
        return refused.body["detail"]
    raise AssertionError(f"{text!r} was not refused")


said = "Una ricetta che non sta in nessun libro."
audio = speak(said)
assert audio.startswith(b"OggS") and f"WORDS={said}".encode() in audio, audio[:200]
assert audio[28:36] == b"OpusHead" and audio[37] == 1, "not mono Opus"
streamed = b"".join(elevenlabs.text_to_speech.stream(VOICE, text=said, model_id=MODEL, output_format=FORMAT))
assert streamed == audio, "streamed speech is another"
print("checked: speech, whole and streamed")

# The stand-in has a hiccup; the client tries again by itself, which it does not for speech.
subscription = elevenlabs.user.subscription.get()
assert subscription.status == "active", subscription
assert subscription.character_count == 2 * len(said), subscription
assert subscription.character_limit > subscription.character_count, subscription
print("checked: the client's own retry; the subscription and what was used of it")

assert [voice.voice_id for voice in elevenlabs.voices.get_all().voices] == [VOICE]
assert MODEL in [model.model_id for model in elevenlabs.models.list()]
print("checked: voices and models")

denied = refusal(401, using=client("a-key-of-somebody-else"))
assert (denied["type"], denied["code"]) == ("authentication_error", "invalid_api_key"), denied
nobody = refusal(404, voice="nobody")
assert nobody["code"] == "voice_not_found", nobody
unknown = refusal(400, model="voice_of_tomorrow")
assert unknown["code"] == "unsupported_model", unknown
odd = refusal(400, form="opus_48000_24")
assert odd["code"] == "invalid_output_format", odd
silent = refusal(400, text=" ")
assert silent["code"] == "empty_text", silent
misshapen = refusal(422, text=17, error=UnprocessableEntityError)
assert misshapen[0]["loc"] == ["body", "text"], misshapen
print("checked: refused for key, voice, model, format, text")

busy = refusal(429, text="refuse: too many at once")
assert (busy["code"], busy["status"]) == ("concurrent_limit_exceeded", "too_many_concurrent_requests"), busy
print("checked: too many requests")

broke = refusal(401, text="troppo " * 1_000)
assert broke["status"] == "quota_exceeded", broke
print("checked: a used-up quota")
