/*-------------------------------------------------------------------------
 *
 * format.c
 *	  The table of formats, and the ones too small for a file.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "contract/format.h"
#include "contract/pattern.h"
#include "contract/value.h"

static bool
format_uuid(const char *s, uint32 len)
{
	/* Bits 8, 13, 18 and 23 are the hyphens of 8-4-4-4-12. */
	const uint64 hyphens = (UINT64CONST(1) << 8) | (UINT64CONST(1) << 13) |
		(UINT64CONST(1) << 18) | (UINT64CONST(1) << 23);

	if (len != 36)
		return false;
	for (int i = 0; i < 36; i++)
	{
		if ((hyphens >> i) & 1)
		{
			if (s[i] != '-')
				return false;
		}
		else if (!((s[i] >= '0' && s[i] <= '9') ||
				   ((s[i] | 0x20) >= 'a' && (s[i] | 0x20) <= 'f')))
			return false;
	}
	return true;
}

static bool
format_regex(const char *s, uint32 len)
{
	char	   *reason;

	return mo_pattern_check(s, len, &reason);
}

static const struct MoFormat formats[] = {
	{"date", mo_format_date, "A date is written like 2026-01-31."},
	{"date-time", mo_format_date_time, "A date-time is written like 2026-01-31T12:00:00Z, with its offset from UTC."},
	{"duration", mo_format_duration, "A duration is written like P3DT4H or P2W."},
	{"email", mo_format_email, "An address is written like name@example.com."},
	{"hostname", mo_format_hostname, NULL},
	{"idn-email", mo_format_idn_email, NULL},
	{"idn-hostname", mo_format_idn_hostname, NULL},
	{"ipv4", mo_format_ipv4, "An address is written like 192.0.2.1."},
	{"ipv6", mo_format_ipv6, "An address is written like 2001:db8::1."},
	{"iri", mo_format_iri, NULL},
	{"iri-reference", mo_format_iri_reference, NULL},
	{"json-pointer", mo_format_json_pointer, "A pointer is empty or begins with /."},
	{"regex", format_regex, NULL},
	{"relative-json-pointer", mo_format_relative_json_pointer, NULL},
	{"time", mo_format_time, "A time is written like 12:00:00Z, with its offset from UTC."},
	{"uri", mo_format_uri, "A URI begins with its scheme, like https://example.com/."},
	{"uri-reference", mo_format_uri_reference, NULL},
	{"uri-template", mo_format_uri_template, NULL},
	{"uuid", format_uuid, "A UUID is written like 123e4567-e89b-12d3-a456-426614174000."}
};

const struct MoFormat *
mo_format_list(int *count)
{
	*count = lengthof(formats);
	return formats;
}

/* Looked up at compile time only, so a linear search will do. */
const struct MoFormat *
mo_format_find(const char *name, uint32 len)
{
	for (int i = 0; i < lengthof(formats); i++)
	{
		if (mo_key_is(name, len, formats[i].name))
			return &formats[i];
	}
	return NULL;
}
