/*-------------------------------------------------------------------------
 *
 * event_time.c
 *	  Reads an RFC 3339 date-time.
 *
 * Called by the check trigger for contracts whose payload carries the event's
 * time.  timestamptz_in would not do: it takes its meaning from DateStyle and
 * TimeZone, and accepts "yesterday".
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "outbox/event_time.h"

/* What is still to be read. */
typedef struct Reader
{
	const char *at;
	const char *end;
} Reader;

/* Exactly "digits" digits. */
static bool
read_number(Reader *in, int digits, int *value)
{
	if (in->end - in->at < digits)
		return false;
	*value = 0;
	for (int i = 0; i < digits; i++, in->at++)
	{
		if (!isdigit((unsigned char) *in->at))
			return false;
		*value = *value * 10 + (*in->at - '0');
	}
	return true;
}

static bool
read_char(Reader *in, char c)
{
	if (in->at == in->end || pg_toupper((unsigned char) *in->at) != c)
		return false;
	in->at++;
	return true;
}

/* An optional fraction of a second; digits beyond microseconds are cut. */
static bool
read_fraction(Reader *in, fsec_t *usecs)
{
	int			unit = 100000;

	*usecs = 0;
	if (!read_char(in, '.'))
		return true;
	if (in->at == in->end || !isdigit((unsigned char) *in->at))
		return false;
	for (; in->at < in->end && isdigit((unsigned char) *in->at); in->at++)
	{
		*usecs += (*in->at - '0') * unit;
		unit /= 10;
	}
	return true;
}

/* Seconds west of Greenwich, as tm2timestamp wants them. */
static bool
read_zone(Reader *in, int *zone)
{
	int			hours;
	int			minutes;
	int			sign = 0;

	*zone = 0;
	if (read_char(in, 'Z'))
		return true;
	if (read_char(in, '+'))
		sign = -1;
	else if (read_char(in, '-'))
		sign = 1;
	if (sign == 0 || !read_number(in, 2, &hours) || !read_char(in, ':') ||
		!read_number(in, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	*zone = sign * (hours * SECS_PER_HOUR + minutes * SECS_PER_MINUTE);
	return true;
}

static bool
fields_in_range(const struct pg_tm *tm)
{
	return tm->tm_year >= 1 &&
		tm->tm_mon >= 1 && tm->tm_mon <= MONTHS_PER_YEAR &&
		tm->tm_mday >= 1 &&
		tm->tm_mday <= day_tab[isleap(tm->tm_year)][tm->tm_mon - 1] &&
		tm->tm_hour < HOURS_PER_DAY &&
		tm->tm_min < MINS_PER_HOUR &&
		tm->tm_sec <= SECS_PER_MINUTE;	/* 60 is a leap second */
}

static bool
parse_time(const char *text, int len, TimestampTz *time)
{
	Reader		in = {text, text + len};
	struct pg_tm tm = {0};
	fsec_t		usecs;
	int			zone;

	if (!read_number(&in, 4, &tm.tm_year) || !read_char(&in, '-') ||
		!read_number(&in, 2, &tm.tm_mon) || !read_char(&in, '-') ||
		!read_number(&in, 2, &tm.tm_mday) || !read_char(&in, 'T') ||
		!read_number(&in, 2, &tm.tm_hour) || !read_char(&in, ':') ||
		!read_number(&in, 2, &tm.tm_min) || !read_char(&in, ':') ||
		!read_number(&in, 2, &tm.tm_sec) || !read_fraction(&in, &usecs) ||
		!read_zone(&in, &zone) || in.at != in.end || !fields_in_range(&tm))
		return false;
	return tm2timestamp(&tm, usecs, &zone, time) == 0;
}

static TimestampTz
year_begins(int year)
{
	return (int64) (date2j(year, 1, 1) - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY;
}

bool
mo_event_time_is_usual(TimestampTz time)
{
	return time >= year_begins(1) && time < year_begins(10000);
}

/* The zone may lead out of the years that the text itself is in. */
bool
mo_event_time_read(const JsonbValue *value, TimestampTz *time)
{
	return value->type == jbvString &&
		parse_time(value->val.string.val, value->val.string.len, time) &&
		mo_event_time_is_usual(*time);
}

/* What is farther back than any timestamp overflows; nothing is that late. */
static bool
reaches_back_too_far(TimestampTz inserted_at, const Interval *max_lateness)
{
	double		days = max_lateness->month * 31.0 + max_lateness->day;

	return (double) inserted_at - (double) MIN_TIMESTAMP <=
		days * USECS_PER_DAY + max_lateness->time;
}

bool
mo_event_time_is_late(TimestampTz time, TimestampTz inserted_at,
					  const Interval *max_lateness)
{
	if (max_lateness == NULL || TIMESTAMP_NOT_FINITE(inserted_at) ||
		reaches_back_too_far(inserted_at, max_lateness))
		return false;
	return time < DatumGetTimestampTz(
		DirectFunctionCall2(timestamptz_mi_interval,
							TimestampTzGetDatum(inserted_at),
							IntervalPGetDatum(max_lateness)));
}
