"""OpenAI's Python client on our worker. See README.md."""

import os

import openai

URL, KEY, PROMPT = (os.environ[name] for name in ("WORKER_URL", "WORKER_KEY", "WORKER_PROMPT"))


def client(key=KEY):
    return openai.OpenAI(base_url=f"{URL}/v1", api_key=key, max_retries=0)


def ask(**more):
    return client().completions.create(model="any", prompt=PROMPT, seed=7, **more)


def raises(kind, status, code, call):
    try:
        call()
    except kind as error:
        assert type(error) is kind, type(error)
        assert (error.status_code, error.code) == (status, code), (error.status_code, error.code)
        return error
    raise AssertionError(f"nothing was raised where {kind} should be")


models = client().models.list().data
assert len(models) == 1 and client().models.retrieve(models[0].id).id == models[0].id

whole = ask(max_tokens=24)
assert whole.object == "text_completion" and whole.model == models[0].id
text, usage = whole.choices[0].text, whole.usage
assert text and whole.choices[0].finish_reason in ("stop", "length")
assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
assert ask(max_tokens=24).choices[0].text == text
assert ask(max_tokens=24).usage.prompt_tokens_details.cached_tokens > 0

chunks = list(ask(max_tokens=24, stream=True, stream_options={"include_usage": True}))
assert "".join(c.choices[0].text for c in chunks if c.choices) == text
assert len({c.id for c in chunks}) == 1
assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == usage.completion_tokens
assert chunks[-2].choices[0].finish_reason == whole.choices[0].finish_reason

stop = text[len(text) // 2 :][:3]
stopped = ask(max_tokens=24, stop=[stop]).choices[0]
assert stopped.text == text[: text.index(stop)] and stopped.finish_reason == "stop"

extra = ask(max_tokens=4, extra_body={"min_p": 0.1, "top_k": 20, "dry_multiplier": 0.8})
assert extra.choices[0].text

raises(openai.AuthenticationError, 401, "invalid_api_key", client("wrong").models.list)
error = raises(openai.BadRequestError, 400, "invalid_value", lambda: ask(temperature=99))
assert error.param == "temperature" and error.type == "invalid_request_error", error.body
error = raises(openai.BadRequestError, 400, "unsupported_parameter", lambda: ask(n=2))
assert error.param == "n", error.body
long = lambda: client().completions.create(model="any", prompt="word " * 5000)  # noqa: E731
raises(openai.BadRequestError, 400, "context_length_exceeded", long)
unknown = lambda: client().models.retrieve("another")  # noqa: E731
raises(openai.NotFoundError, 404, "model_not_found", unknown)
chat = lambda: client().chat.completions.create(  # noqa: E731
    model="any", messages=[{"role": "user", "content": "Hi"}]
)
raises(openai.NotFoundError, 404, "not_found", chat)
print("all as it should be")
