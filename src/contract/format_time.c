/*-------------------------------------------------------------------------
 *
 * format_time.c
 *	  The formats date-time, date, time (RFC 3339) and duration (ISO 8601).
 *
 * Not done with the server's own date input, which takes far more than RFC
 * 3339 does, depends on settings, and raises errors.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "contract/format.h"

/* Reads n digits at s; -1 unless all are digits. */
static inline int
digits(const char *s, int n)
{
	int			value = 0;

	for (int i = 0; i < n; i++)
	{
		if (s[i] < '0' || s[i] > '9')
			return -1;
		value = value * 10 + (s[i] - '0');
	}
	return value;
}

bool
mo_format_date(const char *s, uint32 len)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int			year;
	int			month;
	int			day;
	bool		leap;

	if (len != 10 || s[4] != '-' || s[7] != '-')
		return false;
	year = digits(s, 4);
	month = digits(s + 5, 2);
	day = digits(s + 8, 2);
	if (year < 0 || month < 1 || month > 12 || day < 1)
		return false;
	leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return day <= days[month - 1] + (month == 2 && leap);
}

/*
 * The offset of a time, in minutes: Z, z, +hh:mm or -hh:mm.
 */
static bool
read_offset(const char *s, uint32 len, int *minutes)
{
	int			hour;
	int			minute;

	*minutes = 0;
	if (len == 1)
		return *s == 'Z' || *s == 'z';
	if (len != 6 || (s[0] != '+' && s[0] != '-') || s[3] != ':')
		return false;
	hour = digits(s + 1, 2);
	minute = digits(s + 4, 2);
	if (hour < 0 || hour > 23 || minute < 0 || minute > 59)
		return false;
	*minutes = (s[0] == '-' ? -1 : 1) * (hour * 60 + minute);
	return true;
}

/* A leap second is the last one of a day in UTC. */
bool
mo_format_time(const char *s, uint32 len)
{
	int			hour;
	int			minute;
	int			second;
	int			offset;
	uint32		i = 8;

	if (len < 9 || s[2] != ':' || s[5] != ':')
		return false;
	hour = digits(s, 2);
	minute = digits(s + 3, 2);
	second = digits(s + 6, 2);
	if (hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
		second < 0 || second > 60)
		return false;
	if (s[i] == '.')
	{
		uint32		start = ++i;

		while (i < len && s[i] >= '0' && s[i] <= '9')
			i++;
		if (i == start || i == len)
			return false;
	}
	if (!read_offset(s + i, len - i, &offset))
		return false;
	return second < 60 ||
		(hour * 60 + minute - offset + 2 * 1440) % 1440 == 1439;
}

bool
mo_format_date_time(const char *s, uint32 len)
{
	return len > 11 && (s[10] == 'T' || s[10] == 't') &&
		mo_format_date(s, 10) && mo_format_time(s + 11, len - 11);
}

/*
 * Reads numbers with units out of "units", in that order, each at most once
 * and without a gap; returns how many, or -1.
 */
static int
read_units(const char **p, const char *end, const char *units)
{
	int			n = 0;
	const char *last = NULL;

	while (*p < end && **p >= '0' && **p <= '9')
	{
		const char *unit;

		while (*p < end && **p >= '0' && **p <= '9')
			(*p)++;
		if (*p == end)
			return -1;
		unit = strchr(units, **p);
		if (**p == '\0' || unit == NULL || (last && unit != last + 1))
			return -1;
		last = unit;
		(*p)++;
		n++;
	}
	return n;
}

/* The grammar of RFC 3339, appendix A: weeks stand alone. */
bool
mo_format_duration(const char *s, uint32 len)
{
	const char *p = s;
	const char *end = s + len;
	int			n;

	if (p == end || *p++ != 'P')
		return false;
	if (end > p && end[-1] == 'W')
		return read_units(&p, end, "W") == 1 && p == end;
	n = read_units(&p, end, "YMD");
	if (n < 0)
		return false;
	if (p == end)
		return n > 0;
	if (*p++ != 'T')
		return false;
	return read_units(&p, end, "HMS") > 0 && p == end;
}
