"""OpenAI's official client, unchanged, against the stand-in of OpenAI.

It reads OPENAI_BASE_URL and OPENAI_API_KEY by itself. The test that runs this script (tests/it/clients.rs) lets
the stand-in refuse by words in the message, and gives voice notes: in NOTE is said what SAID says, in UNLUCKY_NOTE
something that meets a refusal. Prints one line for each thing that it has checked.
"""

import os
import pathlib

import openai

MODEL = "gpt-5.4-mini"
HEARING_MODEL = "gpt-4o-mini-transcribe"

# Without the client's own retries, so that an error is seen at once.
client = openai.OpenAI(max_retries=0)


def ask(text, using=client, model=MODEL, **options):
    messages = [{"role": "system", "content": "You are an echo."}, {"role": "user", "content": text}]
    return using.chat.completions.create(model=model, messages=messages, **options)


def refusal(error, text, **options):
    """The error of this class that asking leads to."""
    try:
        ask(text, **options)
    except error as refused:
        # A subclass would be another error.
        assert type(refused) is error, type(refused)
        return refused
    raise AssertionError(f"{text!r} was not refused")


models = {model.id for model in client.models.list()}
assert MODEL in models, models
print("checked: the list of models")

answer = ask("perché no?")
assert answer.object == "chat.completion" and answer.model.startswith(MODEL), answer
assert answer.choices[0].message.role == "assistant", answer
assert answer.choices[0].message.content == "echo: perché no?", answer
assert answer.choices[0].finish_reason == "stop", answer
assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0, answer
assert answer._request_id, "no x-request-id"
print("checked: a whole answer")

chunks = list(ask("uno due tre", stream=True, stream_options={"include_usage": True}))
text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
assert text == "echo: uno due tre", text
assert {chunk.id for chunk in chunks} == {chunks[0].id}, "one answer has one id"
assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop", chunks
assert not chunks[-1].choices and chunks[-1].usage.total_tokens > 0, chunks[-1]
print("checked: a streamed answer and its usage")

messages = [{"role": "user", "content": "a più pezzi"}]
with client.chat.completions.stream(model=MODEL, messages=messages) as stream:
    events = [event.type for event in stream]
    final = stream.get_final_completion()
assert "content.delta" in events and events[-1] in ("chunk", "content.done"), events
assert final.choices[0].message.content == "echo: a più pezzi", final
print("checked: a streamed answer, put together by the client")

limited = refusal(openai.RateLimitError, "refuse: rate limit")
assert (limited.status_code, limited.code) == (429, "rate_limit_exceeded"), limited
broke = refusal(openai.RateLimitError, "refuse: quota")
assert (broke.status_code, broke.code, broke.type) == (429, "insufficient_quota", "insufficient_quota"), broke
print("checked: RateLimitError, of the rate and of the quota")

stranger = openai.OpenAI(api_key="sk-of-somebody-else", max_retries=0)
denied = refusal(openai.AuthenticationError, "ciao", using=stranger)
assert (denied.status_code, denied.code) == (401, "invalid_api_key"), denied
print("checked: AuthenticationError")

unknown = refusal(openai.NotFoundError, "ciao", model="gpt-of-tomorrow")
assert (unknown.status_code, unknown.code) == (404, "model_not_found"), unknown
print("checked: NotFoundError")

overloaded = refusal(openai.InternalServerError, "refuse: overload")
assert overloaded.status_code == 503, overloaded
patient = ask("refuse: hiccup", using=openai.OpenAI(max_retries=1))
assert patient.choices[0].message.content == "echo: refuse: hiccup", patient
print("checked: InternalServerError, and the client's own retry")

note = pathlib.Path(os.environ["NOTE"]).read_bytes()


def hear(name, sound=note, using=client, model=HEARING_MODEL, **options):
    return using.audio.transcriptions.create(model=model, file=(name, sound, "audio/ogg"), **options)


def deafness(error, *arguments, **options):
    """The error of this class that a transcription leads to."""
    try:
        hear(*arguments, **options)
    except error as refused:
        assert type(refused) is error, type(refused)
        return refused
    raise AssertionError(f"{arguments!r} was not refused")


heard = hear("voice.ogg", language="it")
assert heard.text == os.environ["SAID"], heard
assert heard.usage.type == "tokens" and heard.usage.total_tokens > 0, heard
plain = hear("voice.ogg", model="whisper-1", response_format="text")
assert plain.strip() == os.environ["SAID"], plain
print("checked: a transcription, word for word")

for name in ("voice.opus", "voice.oga"):
    misnamed = deafness(openai.BadRequestError, name)
    assert (misnamed.code, misnamed.param) == ("unsupported_value", "file"), misnamed
denied = deafness(openai.AuthenticationError, "voice.ogg", using=stranger)
assert denied.code == "invalid_api_key", denied
unknown = deafness(openai.NotFoundError, "voice.ogg", model="ears-of-tomorrow")
assert unknown.code == "model_not_found", unknown
unlucky = pathlib.Path(os.environ["UNLUCKY_NOTE"]).read_bytes()
broke = deafness(openai.RateLimitError, "voice.ogg", unlucky)
assert broke.code == "insufficient_quota", broke
large = deafness(openai.APIStatusError, "voice.mp3", bytes(26_214_401))
assert large.status_code == 413, large
print("checked: refused transcriptions: name, key, model, quota, size")
