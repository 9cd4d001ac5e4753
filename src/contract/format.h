/*-------------------------------------------------------------------------
 *
 * format.h
 *	  The values of the keyword "format".
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_FORMAT_H
#define MO_FORMAT_H

#include "postgres.h"

/*
 * Does the string have the format?  Must not raise errors, nor look past
 * len; strings are not terminated.
 */
typedef bool (*MoFormatCheck) (const char *s, uint32 len);

struct MoFormat
{
	const char *name;
	MoFormatCheck check;
	const char *hint;			/* an example of a valid string */
};

extern const struct MoFormat *mo_format_find(const char *name, uint32 len);
extern const struct MoFormat *mo_format_list(int *count);

/* format_time.c */
extern bool mo_format_date_time(const char *s, uint32 len);
extern bool mo_format_date(const char *s, uint32 len);
extern bool mo_format_time(const char *s, uint32 len);
extern bool mo_format_duration(const char *s, uint32 len);

/* format_net.c */
extern bool mo_format_email(const char *s, uint32 len);
extern bool mo_format_idn_email(const char *s, uint32 len);
extern bool mo_format_hostname(const char *s, uint32 len);
extern bool mo_format_idn_hostname(const char *s, uint32 len);
extern bool mo_format_ipv4(const char *s, uint32 len);
extern bool mo_format_ipv6(const char *s, uint32 len);

/* format_uri.c */
extern bool mo_format_uri(const char *s, uint32 len);
extern bool mo_format_uri_reference(const char *s, uint32 len);
extern bool mo_format_iri(const char *s, uint32 len);
extern bool mo_format_iri_reference(const char *s, uint32 len);
extern bool mo_format_uri_template(const char *s, uint32 len);
extern bool mo_format_json_pointer(const char *s, uint32 len);
extern bool mo_format_relative_json_pointer(const char *s, uint32 len);

#endif							/* MO_FORMAT_H */
