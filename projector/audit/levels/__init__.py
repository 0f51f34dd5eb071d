"""The five levels of validation: each looks at records as they come, and says what it found."""
