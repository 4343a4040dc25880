"""What the lexicon of kiwipiepy says of the dialect texts of tasks/korean-dialect.

    pip install kiwipiepy==0.24.1 kiwipiepy_model==0.24.0      # 3 GB of memory, a minute to start; the harness needs neither
    python -m packtools.dialect_lint                            # read the items, write verdicts.jsonl beside this file

A one-way lint: the lexicon knows in which regions a form is spoken, and no meanings; it passes made-up sentences and lacks
real words. So `supports` is weak evidence for an item, and the other verdicts are reasons to read it again.
`left.json` says why an item stands whose verdict speaks against it.
"""
