/*-------------------------------------------------------------------------
 *
 * format_net.c
 *	  The formats of hosts and mail addresses.
 *
 * Internationalised host names are checked by libidn2 (IDNA 2008), which
 * allocates with malloc.  Strings are not terminated; those that a library
 * needs terminated are copied to the stack, which the longest valid name
 * bounds.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <arpa/inet.h>
#include <idn2.h>

#include "mb/pg_wchar.h"

#include "contract/format.h"

#define HOSTNAME_MAX		253
#define LABEL_MAX			63

static inline bool
is_alnum(char ch)
{
	return (ch >= '0' && ch <= '9') ||
		((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z');
}

bool
mo_format_ipv4(const char *s, uint32 len)
{
	int			parts = 0;
	uint32		i = 0;

	for (;;)
	{
		int			value = 0;
		uint32		start = i;

		while (i < len && i - start < 3 && s[i] >= '0' && s[i] <= '9')
			value = value * 10 + (s[i++] - '0');
		if (i == start || value > 255 || (s[start] == '0' && i - start > 1))
			return false;
		if (++parts == 4)
			return i == len;
		if (i == len || s[i++] != '.')
			return false;
	}
}

bool
mo_format_ipv6(const char *s, uint32 len)
{
	char		buf[INET6_ADDRSTRLEN + 1];
	struct in6_addr address;
	const char *v4;

	if (len < 2 || len > INET6_ADDRSTRLEN - 1 || memchr(s, '\0', len))
		return false;
	memcpy(buf, s, len);
	buf[len] = '\0';
	if (inet_pton(AF_INET6, buf, &address) != 1)
		return false;

	/* inet_pton lets leading zeros pass in the dotted tail. */
	v4 = strrchr(buf, ':');
	return strchr(buf, '.') == NULL || mo_format_ipv4(v4 + 1, strlen(v4 + 1));
}

/* One label of ASCII letters, digits and inner hyphens. */
static bool
is_ascii_label(const char *s, uint32 len)
{
	if (len == 0 || len > LABEL_MAX || !is_alnum(s[0]) || !is_alnum(s[len - 1]))
		return false;
	for (uint32 i = 1; i + 1 < len; i++)
	{
		if (!is_alnum(s[i]) && s[i] != '-')
			return false;
	}
	return true;
}

/* Is a label beginning with xn-- what IDNA makes of its Unicode form? */
static bool
is_a_label(const char *s, uint32 len)
{
	char		label[LABEL_MAX + 1];
	char	   *unicode = NULL;
	uint8_t    *again = NULL;
	bool		ok;

	memcpy(label, s, len);
	label[len] = '\0';
	ok = idn2_to_unicode_8z8z(label, &unicode, 0) == IDN2_OK &&
		strcmp(unicode, label) != 0 &&
		idn2_lookup_u8((const uint8_t *) unicode, &again,
					   IDN2_NONTRANSITIONAL) == IDN2_OK &&
		pg_strcasecmp((char *) again, label) == 0 &&
		mo_format_idn_hostname(unicode, strlen(unicode));
	if (unicode)
		idn2_free(unicode);
	if (again)
		idn2_free(again);
	return ok;
}

bool
mo_format_hostname(const char *s, uint32 len)
{
	const char *end = s + len;

	if (len == 0 || len > HOSTNAME_MAX)
		return false;
	for (;;)
	{
		const char *dot = memchr(s, '.', end - s);
		uint32		n = (dot ? dot : end) - s;

		if (!is_ascii_label(s, n))
			return false;
		if (n >= 4 && s[2] == '-' && s[3] == '-' &&
			(pg_strncasecmp(s, "xn", 2) != 0 || !is_a_label(s, n)))
			return false;
		if (dot == NULL)
			return true;
		s = dot + 1;
	}
}

/* The code point before (or after) a place in UTF-8; 0 at the edge. */
static uint32
code_point_before(const char *start, const char *p)
{
	if (p == start)
		return 0;
	do
		p--;
	while (p > start && ((unsigned char) *p & 0xC0) == 0x80);
	return utf8_to_unicode((const unsigned char *) p);
}

static uint32
code_point_at(const char *p, const char *end)
{
	return p < end ? utf8_to_unicode((const unsigned char *) p) : 0;
}

static bool
is_greek(uint32 ch)
{
	return (ch >= 0x370 && ch <= 0x3FF && ch != 0x37E) ||
		(ch >= 0x1F00 && ch <= 0x1FFF);
}

static bool
is_hebrew(uint32 ch)
{
	return (ch >= 0x591 && ch <= 0x5F4) || (ch >= 0xFB1D && ch <= 0xFB4F);
}

static bool
is_kana_or_han(uint32 ch)
{
	return (ch >= 0x3041 && ch <= 0x3096) || (ch >= 0x309D && ch <= 0x309F) ||
		(ch >= 0x30A1 && ch <= 0x30FA) || (ch >= 0x30FD && ch <= 0x30FF) ||
		(ch >= 0x31F0 && ch <= 0x31FF) || ch == 0x3005 || ch == 0x3007 ||
		(ch >= 0x3400 && ch <= 0x4DBF) || (ch >= 0x4E00 && ch <= 0x9FFF) ||
		(ch >= 0xF900 && ch <= 0xFAFF) || (ch >= 0x20000 && ch <= 0x3FFFF);
}

/*
 * The CONTEXTO rules of RFC 5892, appendix A.3 to A.9, which libidn2 does not
 * check on lookup, and the code points that section 2.6 disallows.
 */
static bool
context_allows(const char *s, uint32 len)
{
	const char *end = s + len;
	bool		arabic_digits = false;
	bool		extended_digits = false;
	bool		katakana_dot = false;
	bool		kana_or_han = false;

	for (const char *p = s; p < end;
		 p += pg_utf_mblen((const unsigned char *) p))
	{
		uint32		ch = utf8_to_unicode((const unsigned char *) p);
		uint32		before = code_point_before(s, p);
		uint32		after = code_point_at(p + pg_utf_mblen((const unsigned char *) p), end);

		if (ch == 0xB7 && !(before == 'l' && after == 'l'))
			return false;
		if (ch == 0x375 && !is_greek(after))
			return false;
		if ((ch == 0x5F3 || ch == 0x5F4) && !is_hebrew(before))
			return false;
		if (ch == 0x640 || ch == 0x7FA || (ch >= 0x302E && ch <= 0x302F) ||
			(ch >= 0x3031 && ch <= 0x3035) || ch == 0x303B)
			return false;
		katakana_dot |= ch == 0x30FB;
		kana_or_han |= is_kana_or_han(ch);
		arabic_digits |= ch >= 0x660 && ch <= 0x669;
		extended_digits |= ch >= 0x6F0 && ch <= 0x6F9;
	}
	return !(katakana_dot && !kana_or_han) &&
		!(arabic_digits && extended_digits);
}

/* One label; the separators have been taken off. */
static bool
is_idn_label(const char *s, uint32 len)
{
	char		label[LABEL_MAX * 4 + 1];
	uint8_t    *ascii = NULL;
	bool		ok;
	bool		is_ascii = true;

	if (len == 0 || len >= sizeof(label) || memchr(s, '\0', len))
		return false;
	for (uint32 i = 0; i < len; i++)
		is_ascii &= !IS_HIGHBIT_SET(s[i]);
	if (is_ascii)
		return mo_format_hostname(s, len);
	if (!context_allows(s, len))
		return false;
	memcpy(label, s, len);
	label[len] = '\0';
	ok = idn2_lookup_u8((const uint8_t *) label, &ascii, IDN2_NO_TR46) == IDN2_OK;
	if (ok)
		ok = strlen((char *) ascii) <= LABEL_MAX;
	if (ascii)
		idn2_free(ascii);
	return ok;
}

/* Ideographic and full-width stops separate labels, too (RFC 3490). */
static uint32
separator_length(const char *p, const char *end)
{
	if (*p == '.')
		return 1;
	if (end - p >= 3 && (memcmp(p, "\xE3\x80\x82", 3) == 0 ||
						 memcmp(p, "\xEF\xBC\x8E", 3) == 0 ||
						 memcmp(p, "\xEF\xBD\xA1", 3) == 0))
		return 3;
	return 0;
}

bool
mo_format_idn_hostname(const char *s, uint32 len)
{
	const char *end = s + len;
	const char *label = s;
	uint8_t    *ascii = NULL;
	char		whole[HOSTNAME_MAX * 4 + 1];
	bool		ok;

	if (len == 0 || len >= sizeof(whole))
		return false;
	for (const char *p = s;; p++)
	{
		uint32		n = p < end ? separator_length(p, end) : 1;

		if (n == 0)
			continue;
		if (!is_idn_label(label, p - label))
			return false;
		if (p >= end)
			break;
		p += n - 1;
		label = p + 1;
	}

	/* The limit of the whole name counts what IDNA makes of it. */
	if (len <= LABEL_MAX)
		return true;
	memcpy(whole, s, len);
	whole[len] = '\0';
	ok = idn2_lookup_u8((const uint8_t *) whole, &ascii, 0) == IDN2_OK;
	if (ascii)
		idn2_free(ascii);
	return ok;
}

static bool
is_atext(char ch, bool international)
{
	return is_alnum(ch) || (international && IS_HIGHBIT_SET(ch)) ||
		(ch != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", ch) != NULL);
}

/* The part before the @: a dot-atom or a quoted string (RFC 5321). */
static bool
is_local_part(const char *s, uint32 len, bool international)
{
	if (len == 0)
		return false;
	if (s[0] == '"')
	{
		if (len < 2 || s[len - 1] != '"')
			return false;
		for (uint32 i = 1; i + 1 < len; i++)
		{
			unsigned char ch = s[i];

			if (ch == '\\' && ++i + 1 < len)
				ch = s[i];
			else if (ch == '"' || ch == '\\')
				return false;
			if (ch < 32 || ch == 127 || (ch > 127 && !international))
				return false;
		}
		return true;
	}
	for (uint32 i = 0; i < len; i++)
	{
		if (s[i] == '.')
		{
			if (i == 0 || i == len - 1 || s[i - 1] == '.')
				return false;
		}
		else if (!is_atext(s[i], international))
			return false;
	}
	return true;
}

/* An address literal: [192.0.2.1] or [IPv6:2001:db8::1]. */
static bool
is_address_literal(const char *s, uint32 len)
{
	if (len < 3 || s[0] != '[' || s[len - 1] != ']')
		return false;
	s++;
	len -= 2;
	if (len > 5 && pg_strncasecmp(s, "IPv6:", 5) == 0)
		return mo_format_ipv6(s + 5, len - 5);
	return mo_format_ipv4(s, len);
}

static bool
is_email(const char *s, uint32 len, bool international)
{
	const char *at = NULL;
	const char *domain;
	uint32		n;

	for (uint32 i = len; i > 0 && at == NULL; i--)
	{
		if (s[i - 1] == '@')
			at = &s[i - 1];
	}
	if (at == NULL || !is_local_part(s, at - s, international))
		return false;
	domain = at + 1;
	n = s + len - domain;
	return is_address_literal(domain, n) ||
		(international ? mo_format_idn_hostname(domain, n) :
		 mo_format_hostname(domain, n));
}

bool
mo_format_email(const char *s, uint32 len)
{
	return is_email(s, len, false);
}

bool
mo_format_idn_email(const char *s, uint32 len)
{
	return is_email(s, len, true);
}
