"""Prints every SECURITY DEFINER function whose search_path is not pinned."""
import pathlib
import re
import sys

for path in sorted(pathlib.Path(sys.argv[1]).rglob('*.sql')):
    # A function's options stand before its body, or between body and ';'.
    text = re.sub(r'(\$\w*\$).*?\1', "''", path.read_text(), flags=re.S)
    for create in re.finditer(r'CREATE (OR REPLACE )?(FUNCTION|PROCEDURE)\s+([\w.]+)[^;]*;', text):
        options = create.group(0)
        if 'SECURITY DEFINER' in options and not re.search(
                r'SET search_path (=|TO) pg_catalog, pg_temp\b', options):
            print('%s: %s' % (path, create.group(3)))
