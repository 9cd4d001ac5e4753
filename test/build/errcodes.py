"""Prints every ereport() of a warning or an error that has no errcode()."""
import pathlib
import re
import sys

for path in sorted(pathlib.Path(sys.argv[1]).rglob('*.c')):
    # Empty the strings: a parenthesis in one would end the search too early.
    text = re.sub(r'"(\\.|[^"\\\n])*"', '""', path.read_text())
    for match in re.finditer(r'\bereport\(\s*(?!LOG|DEBUG|INFO|NOTICE)', text):
        depth, end = 1, match.start() + len('ereport(')
        while depth and end < len(text):
            depth += {'(': 1, ')': -1}.get(text[end], 0)
            end += 1
        body = text[match.start():end]
        if 'errmsg' in body and 'errcode' not in body:
            print('%s:%d: %s' % (path, text.count('\n', 0, match.start()) + 1,
                                 ' '.join(body.split())[:100]))
