"""Import a whole MediKeep installation: accounts, patients, shares, records and documents.

`schema` reads its database, of any version. `mapping` says what becomes of each row, without touching this
installation. `people` and `records` create the rows here, `files` moves the documents, `verification` compares the two
installations, and `report` accounts for every row of the source. `importing` runs these steps; `rollback` undoes them.
"""
