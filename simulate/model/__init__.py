"""Pure data: persona, scenario, conversation, outcome."""
