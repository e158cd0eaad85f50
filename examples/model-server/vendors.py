"""What vendors do differently: how they say that something is wrong, and what they do not take. As data where that is enough.

Shapes are those that vendors document or were seen to send; `tests/compat/model-apis.json` has them with their sources, and a
test compares.
"""

import re


def openai(status, kind, code, message):
    return status, {"error": {"message": message, "type": kind, "param": None, "code": code}}


def moonshot(status, kind, message):
    return status, {"error": {"type": kind, "message": message}}


def glm(status, code, message):
    return status, {"error": {"code": code, "message": message}}


def vllm(status, kind, message):
    return status, {"error": {"message": message, "type": kind, "param": None, "code": status}}


def detail(status, message):
    return status, {"detail": message}


# By vendor and fault: status and body. `{model}` stands for the model that was asked for.
FAULTS = {
    "openai": {
        "bad-key": openai(401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
        "no-model": openai(404, "invalid_request_error", "model_not_found", "The model `{model}` does not exist."),
        "rate-limit": openai(429, "requests", "rate_limit_exceeded", "Rate limit reached."),
        "quota": openai(
            429,
            "insufficient_quota",
            "insufficient_quota",
            "You exceeded your current quota, please check your plan and billing details.",
        ),
        "overloaded": openai(503, "server_error", None, "The engine is currently overloaded."),
        "broken": openai(500, "server_error", None, "The server had an error."),
        "too-long": openai(
            400, "invalid_request_error", "context_length_exceeded", "This model's maximum context length is 4096 tokens."
        ),
        "filtered": openai(400, "invalid_request_error", "content_filter", "The response was filtered."),
    },
    "moonshot": {
        "bad-key": moonshot(401, "invalid_authentication_error", "Invalid Authentication"),
        "no-model": moonshot(404, "resource_not_found_error", "Not found the model {model} or Permission denied"),
        "rate-limit": moonshot(
            429, "rate_limit_reached_error", "Your account request reached organization max RPM: 3, please try again after 1 seconds"
        ),
        "quota": moonshot(
            429, "exceeded_current_quota_error", "You exceeded your current token quota: 0, please check your account balance"
        ),
        "overloaded": moonshot(429, "engine_overloaded_error", "The engine is currently overloaded, please try again later"),
        "plan-limit": moonshot(429, "rate_limit_error", "The engine is currently overloaded, please try again later"),
        "plan-quota": moonshot(429, "rate_limit_error", "You've reached your usage limit for this period"),
        "broken": moonshot(500, "server_error", "Internal Server Error"),
        "too-long": moonshot(
            400, "invalid_request_error", "Invalid request: Your request exceeded model token limit: 262144"
        ),
        "filtered": moonshot(400, "content_filter", "The request was rejected because it was considered high risk"),
    },
    "glm": {
        "bad-key": glm(401, "1002", "Invalid Authentication Token"),
        "no-model": glm(400, "1211", "Model does not exist, please check the model code"),
        "rate-limit": glm(429, "1302", "High concurrency usage of this API"),
        "quota": glm(429, "1113", "Your account is in arrears, please recharge and try again"),
        "overloaded": glm(429, "1305", "The API has triggered rate limiting"),
        "broken": glm(500, "1234", "Network error, error id: 0, please contact customer service"),
        "too-long": glm(400, "1261", "Prompt exceeds max length"),
        "filtered": glm(400, "1301", "System detected potentially unsafe or sensitive content"),
    },
    "vllm": {
        "bad-key": (401, {"error": "Unauthorized"}),
        "no-model": vllm(404, "NotFoundError", "The model `{model}` does not exist."),
        "rate-limit": vllm(429, "RateLimitError", "Too many requests"),
        "overloaded": vllm(503, "ServiceUnavailableError", "The server is overloaded"),
        "broken": vllm(500, "InternalServerError", "EngineCore encountered an issue"),
        "too-long": vllm(400, "BadRequestError", "This model's maximum context length is 40960 tokens."),
    },
    # Somebody's own service, such as the one that suggests patches.
    "service": {
        "bad-key": detail(401, "Not authenticated"),
        "no-model": detail(404, "model {model} not found"),
        "rate-limit": detail(429, "Too many requests"),
        "quota": detail(402, "Payment required"),
        "overloaded": detail(503, "Service Unavailable"),
        "broken": (500, "Internal Server Error"),
        "too-long": detail(413, "Request Entity Too Large"),
    },
}

NAMES = sorted({name for faults in FAULTS.values() for name in faults})


def fault(vendor, name, model):
    """Status and body; what a vendor has no words for is said in OpenAI's."""
    status, body = FAULTS[vendor].get(name) or FAULTS["openai"][name]
    return status, _named(body, model)


def _named(body, model):
    if isinstance(body, dict):
        return {key: _named(value, model) for key, value in body.items()}
    return body.replace("{model}", str(model)) if isinstance(body, str) else body


def refused(vendor, request, script):
    """Why a vendor does not take a request at all, or nothing: status and body."""
    if "auth_token" in request:
        return openai(400, "invalid_request_error", None, "a secret has no place in a body: `auth_token`")
    if script.insists and request.get("stream") is not True:
        return openai(400, "invalid_request_error", None, "this server only answers with `stream`")
    if vendor == "moonshot":
        return _moonshot(request)
    if vendor == "vllm" and request.get("tools") and not script.tool_parser:
        message = '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'
        return vllm(400, "BadRequestError", message)
    return None


FIXED = ("temperature", "top_p", "presence_penalty", "frequency_penalty")
TOOL = re.compile(r"^[a-zA-Z_][a-zA-Z0-9-_]{0,63}$")


def _moonshot(request):
    def no(message):
        return moonshot(400, "invalid_request_error", message)

    if str(request.get("model")).startswith("kimi-"):
        chosen = [name for name in FIXED if name in request]
        if chosen:
            return no(f"invalid {chosen[0]}: it is fixed for this model")
    thinks = request.get("thinking", {}).get("type") != "disabled"
    if thinks and request.get("tool_choice", "auto") not in ("auto", "none"):
        return no("tool_choice 'required' is incompatible with thinking enabled")
    for tool in request.get("tools", []):
        if not TOOL.match(tool["function"]["name"]):
            return no("function name is invalid, must start with a letter and can contain letters, numbers, underscores, and dashes")
    for at, message in enumerate(request.get("messages", [])):
        if thinks and message.get("tool_calls") and not message.get("reasoning_content"):
            return no(f"thinking is enabled but reasoning_content is missing in assistant tool call message at index {at}")
    return None
