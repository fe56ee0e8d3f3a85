"""What the tests of all examples share: a Postgres, running programs, two bare MCP clients, a real Ostiary."""
