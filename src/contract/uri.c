/*-------------------------------------------------------------------------
 *
 * uri.c
 *	  Resolution of URI references, on top of uriparser.
 *
 * Called by the schema compiler for $id and references.  uriparser allocates
 * with malloc: nothing between its parse and free calls may raise an error.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <uriparser/Uri.h>

#include "contract/compile.h"

/* Has the reference a scheme, so that it stands on its own? */
bool
mo_uri_is_absolute(const char *uri)
{
	const char *p = uri;

	if (!((*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z')))
		return false;
	while ((*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') ||
		   (*p >= '0' && *p <= '9') || *p == '+' || *p == '-' || *p == '.')
		p++;
	return *p == ':';
}

static int
hex_value(char ch)
{
	if (ch >= '0' && ch <= '9')
		return ch - '0';
	if (ch >= 'a' && ch <= 'f')
		return ch - 'a' + 10;
	if (ch >= 'A' && ch <= 'F')
		return ch - 'A' + 10;
	return -1;
}

/* Replaces %XX by the byte it stands for; %00 stays as it is. */
char *
mo_uri_decode(const char *s)
{
	char	   *result = palloc(strlen(s) + 1);
	char	   *out = result;

	while (*s)
	{
		int			high = s[0] == '%' ? hex_value(s[1]) : -1;
		int			low = high >= 0 ? hex_value(s[2]) : -1;

		if (low >= 0 && (high != 0 || low != 0))
		{
			*out++ = (char) (high * 16 + low);
			s += 3;
		}
		else
			*out++ = *s++;
	}
	*out = '\0';
	return result;
}

/* An IRI becomes a URI by escaping every byte beyond ASCII. */
static char *
escape_iri(const char *s)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (; *s; s++)
	{
		if (IS_HIGHBIT_SET(*s))
			appendStringInfo(&buf, "%%%02X", (unsigned char) *s);
		else
			appendStringInfoChar(&buf, *s);
	}
	return buf.data;
}

/* Parses both, joins them, and writes into "out"; false if either is bad. */
static bool
join(const char *base, const char *reference, char *out, int size)
{
	UriUriA		b;
	UriUriA		r;
	UriUriA		joined;
	const char *error;
	bool		ok = false;

	if (uriParseSingleUriA(&b, base, &error) != URI_SUCCESS)
		return false;
	if (uriParseSingleUriA(&r, reference, &error) == URI_SUCCESS)
	{
		if (uriAddBaseUriA(&joined, &r, &b) == URI_SUCCESS)
		{
			ok = uriToStringA(out, &joined, size, NULL) == URI_SUCCESS;
			uriFreeUriMembersA(&joined);
		}
		uriFreeUriMembersA(&r);
	}
	uriFreeUriMembersA(&b);
	return ok;
}

/*
 * Resolves a reference against an absolute base URI.  Returns a palloc'd
 * string, or NULL if the reference is not one.  Fragments of JSON Pointers
 * are often written without escaping, so they are joined as they are.
 */
char *
mo_uri_resolve(const char *base, const char *reference)
{
	const char *fragment = strchr(reference, '#');
	char	   *stem = fragment ?
		pnstrdup(reference, fragment - reference) : pstrdup(reference);
	char	   *joined;
	int			size;

	if (stem[0] == '\0')
		joined = pnstrdup(base, strcspn(base, "#"));
	else
	{
		stem = escape_iri(stem);
		size = strlen(base) + strlen(stem) + 16;
		joined = palloc(size);
		if (!join(base, stem, joined, size))
			return NULL;
	}
	return fragment ? psprintf("%s%s", joined, fragment) : joined;
}
