"""The protocol of services that play the caller: both sides of it, in the words of Future AGI's clients."""
