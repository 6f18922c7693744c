"""Configuration: typed settings out of code, environment and a TOML file, with every fault reported at once."""

from chatproxy.config.models import ModelConfig, find_model
from chatproxy.config.plugins import HookPolicy, PluginPolicy, PluginsConfig
from chatproxy.config.proxy import ProxyConfig
from chatproxy.config.upstreams import UpstreamConfig

__all__ = [
    "HookPolicy",
    "ModelConfig",
    "PluginPolicy",
    "PluginsConfig",
    "ProxyConfig",
    "UpstreamConfig",
    "find_model",
]
