/*-------------------------------------------------------------------------
 *
 * format_uri.c
 *	  URIs, IRIs, URI templates and JSON Pointers.
 *
 * uriparser decides what a URI is (RFC 3986).  An IRI is checked as the URI
 * that its characters beyond ASCII would be escaped to, RFC 3987's way.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <uriparser/Uri.h>

#include "mb/pg_wchar.h"

#include "contract/format.h"

/* What uriparser leaves open: a port is digits, and a host has no stray "[". */
static bool
parse_uri(const char *s, const char *end, bool *has_scheme)
{
	UriUriA		uri;
	const char *error;

	if (uriParseSingleUriExA(&uri, s, end, &error) != URI_SUCCESS)
		return false;
	*has_scheme = uri.scheme.first != NULL;
	uriFreeUriMembersA(&uri);
	return true;
}

bool
mo_format_uri(const char *s, uint32 len)
{
	bool		has_scheme;

	return parse_uri(s, s + len, &has_scheme) && has_scheme;
}

bool
mo_format_uri_reference(const char *s, uint32 len)
{
	bool		has_scheme;

	return parse_uri(s, s + len, &has_scheme);
}

/* ucschar of RFC 3987, and iprivate, which only a query may hold. */
static bool
is_ucschar(uint32 ch, bool in_query)
{
	if ((ch >= 0xA0 && ch <= 0xD7FF) || (ch >= 0xF900 && ch <= 0xFDCF) ||
		(ch >= 0xFDF0 && ch <= 0xFFEF))
		return true;
	if (ch >= 0x10000 && ch <= 0xEFFFF && (ch & 0xFFFF) <= 0xFFFD)
		return ch < 0xE0000 || ch >= 0xE1000;
	return in_query && ((ch >= 0xE000 && ch <= 0xF8FF) || ch >= 0xF0000);
}

static bool
parse_iri(const char *s, uint32 len, bool *has_scheme)
{
	const char *end = s + len;
	char	   *escaped = palloc(3 * (Size) len + 1);
	char	   *out = escaped;
	bool		in_query = false;
	bool		ok;

	while (s < end)
	{
		int			n = pg_utf_mblen((const unsigned char *) s);

		if (n == 1)
		{
			in_query = (in_query || *s == '?') && *s != '#';
			*out++ = *s++;
			continue;
		}
		if (n > end - s ||
			!is_ucschar(utf8_to_unicode((const unsigned char *) s), in_query))
			break;
		for (; n > 0; n--)
		{
			snprintf(out, 4, "%%%02X", (unsigned char) *s++);
			out += 3;
		}
	}
	ok = s == end && parse_uri(escaped, out, has_scheme);
	pfree(escaped);
	return ok;
}

bool
mo_format_iri(const char *s, uint32 len)
{
	bool		has_scheme;

	return parse_iri(s, len, &has_scheme) && has_scheme;
}

bool
mo_format_iri_reference(const char *s, uint32 len)
{
	bool		has_scheme;

	return parse_iri(s, len, &has_scheme);
}

static inline bool
is_hex(char ch)
{
	return (ch >= '0' && ch <= '9') ||
		((ch | 0x20) >= 'a' && (ch | 0x20) <= 'f');
}

static inline bool
is_escape(const char *p, const char *end)
{
	return end - p >= 3 && p[0] == '%' && is_hex(p[1]) && is_hex(p[2]);
}

/* varname of RFC 6570: letters, digits, _, escapes, and inner dots. */
static const char *
skip_variable_name(const char *p, const char *end)
{
	const char *start = p;

	while (p < end)
	{
		if (is_escape(p, end))
			p += 3;
		else if (*p == '_' || (*p >= '0' && *p <= '9') ||
				 ((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z'))
			p++;
		else if (*p == '.' && p > start && p[-1] != '.')
			p++;
		else
			break;
	}
	return p > start && p[-1] != '.' ? p : NULL;
}

/* After "{": an operator, then variables with their modifiers. */
static const char *
skip_expression(const char *p, const char *end)
{
	if (p < end && *p != '\0' && strchr("+#./;?&=,!@|", *p))
		p++;
	for (;;)
	{
		if ((p = skip_variable_name(p, end)) == NULL || p == end)
			return NULL;
		if (*p == '*')
			p++;
		else if (*p == ':')
		{
			const char *start = ++p;

			while (p < end && *p >= '0' && *p <= '9' && p - start < 4)
				p++;
			if (p == start || *start == '0')
				return NULL;
		}
		if (p == end)
			return NULL;
		if (*p == '}')
			return p + 1;
		if (*p++ != ',')
			return NULL;
	}
}

bool
mo_format_uri_template(const char *s, uint32 len)
{
	const char *end = s + len;

	while (s < end)
	{
		unsigned char ch = *s;

		if (ch == '{')
		{
			if ((s = skip_expression(s + 1, end)) == NULL)
				return false;
		}
		else if (ch == '%')
		{
			if (!is_escape(s, end))
				return false;
			s += 3;
		}
		else if (ch <= ' ' || ch == 127 || strchr("\"'<>\\^`|}", ch))
			return false;
		else
			s++;
	}
	return true;
}

bool
mo_format_json_pointer(const char *s, uint32 len)
{
	if (len > 0 && s[0] != '/')
		return false;
	for (uint32 i = 0; i < len; i++)
	{
		if (s[i] == '~' &&
			(i + 1 == len || (s[i + 1] != '0' && s[i + 1] != '1')))
			return false;
	}
	return true;
}

/* A count of levels to go up, then a pointer or "#". */
bool
mo_format_relative_json_pointer(const char *s, uint32 len)
{
	uint32		i = 0;

	while (i < len && s[i] >= '0' && s[i] <= '9')
		i++;
	if (i == 0 || (s[0] == '0' && i > 1))
		return false;
	if (i + 1 == len && s[i] == '#')
		return true;
	return mo_format_json_pointer(s + i, len - i);
}
