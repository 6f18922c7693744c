"""Export: telemetry to collectors by OTLP or to the console, never at the expense of an exchange."""
