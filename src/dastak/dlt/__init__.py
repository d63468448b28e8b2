"""India's DLT register: templates, chains of telemarketers, codes of scrubbers; nothing here sends."""
