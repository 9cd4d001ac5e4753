/*-------------------------------------------------------------------------
 *
 * ecma.c
 *	  Translates an ECMA-262 regular expression into PCRE2's syntax.
 *
 * Called by pattern.c.  JSON Schema means ECMA-262 with the flag "u".  Where
 * PCRE2 spells or understands a construct differently it is rewritten into
 * one that both agree on (\s, \uXXXX, [^], "."); where it cannot be it is
 * refused with the reason: PCRE2's own extensions, which are faults in
 * ECMA-262, and the few ECMA-262 constructs that PCRE2 would get wrong.
 *
 * More lenient than the flag "u" in one respect: a punctuation character may
 * be escaped needlessly (\@, \-), as in the older grammar, because schemas
 * in use do it and it can mean only one thing.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"

#include "contract/pattern.h"

/* What \s means: WhiteSpace and LineTerminator of ECMA-262. */
#define SPACES \
	"\\x{9}-\\x{d}\\x{20}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}" \
	"\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}\\x{feff}"
#define NOT_SPACES \
	"\\x{0}-\\x{8}\\x{e}-\\x{1f}\\x{21}-\\x{9f}\\x{a1}-\\x{167f}" \
	"\\x{1681}-\\x{1fff}\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}" \
	"\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{fefe}" \
	"\\x{ff00}-\\x{10ffff}"
#define ANY_BUT_NEWLINE "[^\\x{a}\\x{d}\\x{2028}\\x{2029}]"
#define NEVER			"(?!)"

#define MAX_REPEAT		65535	/* PCRE2's limit of {n,m} */
#define MAX_GROUPS		1000

typedef struct Group
{
	bool		capturing;
	bool		lookaround;		/* (?=, (?!, (?<=, (?<! */
	bool		lookbehind;
	int			first_capture;	/* captures opened before this group */
} Group;

typedef struct Translator
{
	const char *p;
	const char *end;
	StringInfoData out;
	char	   *reason;			/* set once something is wrong */
	int			captures;		/* in the whole expression */
	int			opened;			/* captures opened so far */
	int			depth;
	Group		stack[MAX_GROUPS];
	bool		repeated[MAX_GROUPS];	/* capture n is inside a repetition */
	int			referred[MAX_GROUPS];	/* back references, in order */
	int			nreferred;
	char	   *names[MAX_GROUPS];
} Translator;

static bool
fail(Translator *t, const char *reason)
{
	if (t->reason == NULL)
		t->reason = pstrdup(reason);
	return false;
}

static bool
peek(const Translator *t, const char *s)
{
	size_t		n = strlen(s);

	return (size_t) (t->end - t->p) >= n && memcmp(t->p, s, n) == 0;
}

static bool
accept(Translator *t, const char *s)
{
	if (!peek(t, s))
		return false;
	t->p += strlen(s);
	return true;
}

static void
emit(Translator *t, const char *s)
{
	appendStringInfoString(&t->out, s);
}

static bool
is_surrogate(uint32 ch)
{
	return ch >= 0xD800 && ch <= 0xDFFF;
}

static void
emit_char(Translator *t, uint32 ch)
{
	if (ch < 128 && (isalnum((int) ch) || strchr(" _,:;<>=!@%&\"'`~/", ch)))
		if (ch != 0)
		{
			appendStringInfoChar(&t->out, (char) ch);
			return;
		}
	appendStringInfo(&t->out, "\\x{%x}", ch);
}

static uint32
next_char(Translator *t)
{
	int			n = pg_utf_mblen((const unsigned char *) t->p);
	uint32		ch;

	/* The text comes out of a UTF8 database, or is only looked at as bytes. */
	n = Min(n, t->end - t->p);
	ch = utf8_to_unicode((const unsigned char *) t->p);
	t->p += n;
	return ch;
}

/* Reads exactly n hexadecimal digits; -1 if there are fewer. */
static int
read_hex(Translator *t, int n)
{
	int			value = 0;

	if (t->end - t->p < n)
		return -1;
	for (int i = 0; i < n; i++)
	{
		char		ch = t->p[i];

		if (!isxdigit((unsigned char) ch))
			return -1;
		value = value * 16 + (isdigit((unsigned char) ch) ? ch - '0' :
							  (ch | 0x20) - 'a' + 10);
	}
	t->p += n;
	return value;
}

/* After "\u": four digits, a surrogate pair, or {digits}. */
static bool
read_unicode(Translator *t, uint32 *result)
{
	int			high;
	int			low;
	const char *start;

	if (accept(t, "{"))
	{
		uint32		value = 0;

		start = t->p;
		while (t->p < t->end && isxdigit((unsigned char) *t->p) &&
			   value <= 0x10FFFF)
			value = value * 16 + read_hex(t, 1);
		if (t->p == start || value > 0x10FFFF || !accept(t, "}"))
			return fail(t, "\\u{...} needs a code point in hexadecimal digits");
		*result = value;
		return true;
	}
	high = read_hex(t, 4);
	if (high < 0)
		return fail(t, "\\u needs four hexadecimal digits");
	*result = high;
	start = t->p;
	if (high >= 0xD800 && high <= 0xDBFF && accept(t, "\\u"))
	{
		low = read_hex(t, 4);
		if (low >= 0xDC00 && low <= 0xDFFF)
			*result = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
		else
			t->p = start;
	}
	return true;
}

/* Long names of general categories, which PCRE2 knows by short name only. */
static const struct
{
	const char *name;
	const char *category;
}			categories[] = {
	{"Cased_Letter", "L&"}, {"Close_Punctuation", "Pe"},
	{"Connector_Punctuation", "Pc"}, {"Control", "Cc"}, {"cntrl", "Cc"},
	{"Currency_Symbol", "Sc"}, {"Dash_Punctuation", "Pd"},
	{"Decimal_Number", "Nd"}, {"digit", "Nd"}, {"Enclosing_Mark", "Me"},
	{"Final_Punctuation", "Pf"}, {"Format", "Cf"},
	{"Initial_Punctuation", "Pi"}, {"LC", "L&"}, {"Letter", "L"},
	{"Letter_Number", "Nl"}, {"Line_Separator", "Zl"},
	{"Lowercase_Letter", "Ll"}, {"Mark", "M"}, {"Combining_Mark", "M"},
	{"Math_Symbol", "Sm"}, {"Modifier_Letter", "Lm"},
	{"Modifier_Symbol", "Sk"}, {"Nonspacing_Mark", "Mn"}, {"Number", "N"},
	{"Open_Punctuation", "Ps"}, {"Other", "C"}, {"Other_Letter", "Lo"},
	{"Other_Number", "No"}, {"Other_Punctuation", "Po"},
	{"Other_Symbol", "So"}, {"Paragraph_Separator", "Zp"},
	{"Private_Use", "Co"}, {"Punctuation", "P"}, {"punct", "P"},
	{"Separator", "Z"}, {"Space_Separator", "Zs"}, {"Spacing_Mark", "Mc"},
	{"Surrogate", "Cs"}, {"Symbol", "S"}, {"Titlecase_Letter", "Lt"},
	{"Unassigned", "Cn"}, {"Uppercase_Letter", "Lu"}
};

static const char *const short_categories =
" C Cc Cf Cn Co Cs L Ll Lm Lo Lt Lu M Mc Me Mn N Nd Nl No "
"P Pc Pd Pe Pf Pi Po Ps S Sc Sk Sm So Z Zl Zp Zs ";

/* Binary properties that both ECMA-262 and PCRE2 know. */
static const char *const binary_properties =
" ASCII ASCII_Hex_Digit AHex Alphabetic Alpha Any Bidi_Control Bidi_C "
"Bidi_Mirrored Bidi_M Case_Ignorable CI Cased Changes_When_Casefolded CWCF "
"Changes_When_Casemapped CWCM Changes_When_Lowercased CWL "
"Changes_When_Titlecased CWT Changes_When_Uppercased CWU Dash "
"Default_Ignorable_Code_Point DI Deprecated Dep Diacritic Dia Emoji "
"Emoji_Component EComp Emoji_Modifier EMod Emoji_Modifier_Base EBase "
"Emoji_Presentation EPres Extended_Pictographic ExtPict Extender Ext "
"Grapheme_Base Gr_Base Grapheme_Extend Gr_Ext Hex_Digit Hex "
"IDS_Binary_Operator IDSB IDS_Trinary_Operator IDST ID_Continue IDC "
"ID_Start IDS Ideographic Ideo Join_Control Join_C "
"Logical_Order_Exception LOE Lowercase Lower Math "
"Noncharacter_Code_Point NChar Pattern_Syntax Pat_Syn "
"Pattern_White_Space Pat_WS Quotation_Mark QMark Radical "
"Regional_Indicator RI Sentence_Terminal STerm Soft_Dotted SD "
"Terminal_Punctuation Term Unified_Ideograph UIdeo Uppercase Upper "
"Variation_Selector VS White_Space space XID_Continue XIDC XID_Start XIDS ";

static bool
is_listed(const char *list, const char *name)
{
	char	   *word = psprintf(" %s ", name);

	return strchr(name, ' ') == NULL && strstr(list, word) != NULL;
}

static const char *
general_category(const char *name)
{
	for (int i = 0; i < lengthof(categories); i++)
	{
		if (strcmp(categories[i].name, name) == 0)
			return categories[i].category;
	}
	return is_listed(short_categories, name) ? name : NULL;
}

/* The operand of \p or \P, after the letter. */
static bool
translate_property(Translator *t, bool negated)
{
	const char *close;
	char	   *name;
	char	   *equals;
	const char *category = NULL;
	char		letter = negated ? 'P' : 'p';

	if (!accept(t, "{") || (close = memchr(t->p, '}', t->end - t->p)) == NULL)
		return fail(t, "\\p needs a property name in braces");
	name = pnstrdup(t->p, close - t->p);
	t->p = close + 1;
	equals = strchr(name, '=');
	if (equals)
	{
		*equals++ = '\0';
		if (strspn(equals, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_") != strlen(equals))
			return fail(t, "a property value is made of letters");
		if (strcmp(name, "Script") == 0 || strcmp(name, "sc") == 0)
			appendStringInfo(&t->out, "\\%c{sc:%s}", letter, equals);
		else if (strcmp(name, "Script_Extensions") == 0 ||
				 strcmp(name, "scx") == 0)
			appendStringInfo(&t->out, "\\%c{scx:%s}", letter, equals);
		else if ((strcmp(name, "General_Category") == 0 ||
				  strcmp(name, "gc") == 0) &&
				 (category = general_category(equals)) != NULL)
			appendStringInfo(&t->out, "\\%c{%s}", letter, category);
		else
			return fail(t, psprintf("there is no Unicode property %s=%s",
									name, equals));
		return true;
	}
	if (strcmp(name, "Assigned") == 0)
		appendStringInfo(&t->out, "\\%c{Cn}", negated ? 'p' : 'P');
	else if ((category = general_category(name)) != NULL)
		appendStringInfo(&t->out, "\\%c{%s}", letter, category);
	else if (is_listed(binary_properties, name))
		appendStringInfo(&t->out, "\\%c{%s}", letter, name);
	else
		return fail(t, psprintf("there is no Unicode property %s", name));
	return true;
}

/*
 * An escape that stands for one character, after the backslash.  Returns
 * false without setting a reason if the escape is of another sort.
 */
static bool
read_character_escape(Translator *t, bool in_class, uint32 *ch)
{
	static const char *const controls = "tnvfr";
	static const char values[] = {9, 10, 11, 12, 13};
	char		c = *t->p;
	const char *control = c ? strchr(controls, c) : NULL;

	if (control)
	{
		t->p++;
		*ch = values[control - controls];
		return true;
	}
	if (c == 'b' && in_class)
	{
		t->p++;
		*ch = 8;
		return true;
	}
	if (c == 'c' && t->end - t->p > 1 && isalpha((unsigned char) t->p[1]))
	{
		*ch = t->p[1] & 0x1F;
		t->p += 2;
		return true;
	}
	if (c == '0' && !(t->end - t->p > 1 && isdigit((unsigned char) t->p[1])))
	{
		t->p++;
		*ch = 0;
		return true;
	}
	if (c == 'x')
	{
		int			value;

		t->p++;
		value = read_hex(t, 2);
		if (value < 0)
			return fail(t, "\\x needs two hexadecimal digits");
		*ch = value;
		return true;
	}
	if (c == 'u')
	{
		t->p++;
		return read_unicode(t, ch);
	}
	if ((unsigned char) c < 128 && ispunct((unsigned char) c) && c != '_')
	{
		t->p++;
		*ch = c;
		return true;
	}
	if (c == '_' || c == ' ')
	{
		t->p++;
		*ch = c;
		return true;
	}
	return false;
}

/* \d \D \w \W \s \S \p \P, after the backslash, outside or inside brackets. */
static bool
translate_class_escape(Translator *t, bool in_class)
{
	char		c = *t->p;

	switch (c)
	{
		case 'd':
		case 'D':
		case 'w':
		case 'W':
			/* Without PCRE2_UCP these are ASCII, as ECMA-262 wants. */
			appendStringInfo(&t->out, "\\%c", c);
			break;
		case 's':
			emit(t, in_class ? SPACES : "[" SPACES "]");
			break;
		case 'S':
			emit(t, in_class ? NOT_SPACES : "[" NOT_SPACES "]");
			break;
		case 'p':
		case 'P':
			t->p++;
			return translate_property(t, c == 'P');
		default:
			return false;
	}
	t->p++;
	return true;
}

/* One end of a class range; *is_set for \d and its kin, already emitted. */
static bool
read_class_atom(Translator *t, uint32 *ch, bool *is_set)
{
	*is_set = false;
	if (!accept(t, "\\"))
	{
		*ch = next_char(t);
		return true;
	}
	if (t->p >= t->end)
		return fail(t, "\\ at the end of the expression");
	if (read_character_escape(t, true, ch))
		return true;
	if (t->reason)
		return false;
	*is_set = true;
	if (translate_class_escape(t, true))
		return true;
	return fail(t, psprintf("\\%c means nothing in brackets", *t->p));
}

/* Surrogates are not characters, so a range must go around them. */
static void
emit_range(Translator *t, uint32 low, uint32 high)
{
	if (low < 0xD800 && high > 0xDFFF)
	{
		emit_range(t, low, 0xD7FF);
		emit_range(t, 0xE000, high);
		return;
	}
	if (is_surrogate(low))
		low = 0xE000;
	if (is_surrogate(high))
		high = 0xD7FF;
	if (low > high)
		return;
	appendStringInfo(&t->out, "\\x{%x}", low);
	if (high > low)
		appendStringInfo(&t->out, "-\\x{%x}", high);
}

/* After "[". */
static bool
translate_class(Translator *t)
{
	bool		negated = accept(t, "^");
	int			start = t->out.len;
	int			content;

	emit(t, negated ? "[^" : "[");
	content = t->out.len;
	while (!accept(t, "]"))
	{
		uint32		low;
		uint32		high;
		bool		low_is_set;
		bool		high_is_set;

		if (t->p >= t->end)
			return fail(t, "[ without ]");
		if (!read_class_atom(t, &low, &low_is_set))
			return false;
		if (!peek(t, "-") || peek(t, "-]"))
		{
			if (!low_is_set)
				emit_range(t, low, low);
			continue;
		}
		t->p++;
		if (t->p >= t->end)
			return fail(t, "[ without ]");
		if (!read_class_atom(t, &high, &high_is_set))
			return false;
		if (low_is_set || high_is_set)
			return fail(t, "a range in brackets needs single characters at both ends");
		if (low > high)
			return fail(t, "a range in brackets is in the wrong order");
		emit_range(t, low, high);
	}
	if (t->out.len > content)
	{
		emit(t, "]");
		return true;
	}

	/* [] matches nothing and [^] everything; PCRE2 reads them otherwise. */
	t->out.len = start;
	t->out.data[start] = '\0';
	emit(t, negated ? "[\\x{0}-\\x{10ffff}]" : NEVER);
	return true;
}

static char *
read_group_name(Translator *t)
{
	const char *close = memchr(t->p, '>', t->end - t->p);
	char	   *name;

	if (close == NULL || close == t->p)
	{
		fail(t, "a group name must be followed by >");
		return NULL;
	}
	for (const char *s = t->p; s < close; s++)
	{
		if (!(isalpha((unsigned char) *s) || *s == '_' || *s == '$' ||
			  (s > t->p && isdigit((unsigned char) *s))))
		{
			fail(t, "a group name is made of letters, digits, _ and $");
			return NULL;
		}
	}
	name = pnstrdup(t->p, close - t->p);
	t->p = close + 1;
	return name;
}

/* A back reference \n or \k<name>, after the backslash. */
static bool
translate_back_reference(Translator *t)
{
	int			n = 0;

	if (accept(t, "k"))
	{
		char	   *name;

		if (!accept(t, "<"))
			return fail(t, "\\k needs a group name in <>");
		if ((name = read_group_name(t)) == NULL)
			return false;
		for (n = 1; n <= t->opened; n++)
		{
			if (t->names[n] && strcmp(t->names[n], name) == 0)
				break;
		}
		if (n > t->opened)
			return fail(t, "a back reference stands before its group");
	}
	else
	{
		while (t->p < t->end && isdigit((unsigned char) *t->p) && n < MAX_GROUPS)
			n = n * 10 + (*t->p++ - '0');
		if (n > t->captures)
			return fail(t, "a back reference to a group that does not exist");
	}
	if (t->nreferred >= MAX_GROUPS)
		return fail(t, "too many back references");
	t->referred[t->nreferred++] = n;

	/* In a lookbehind ECMA-262 matches from right to left. */
	for (int i = 0; i < t->depth; i++)
	{
		if (t->stack[i].lookbehind)
			return fail(t, "a back reference in a lookbehind is not supported");
	}
	appendStringInfo(&t->out, "(?:\\g{%d})", n);
	return true;
}

static bool
translate_escape(Translator *t)
{
	uint32		ch;

	if (t->p >= t->end)
		return fail(t, "\\ at the end of the expression");
	if (accept(t, "b"))
		emit(t, "\\b");
	else if (accept(t, "B"))
		emit(t, "\\B");
	else if (*t->p == 'k' || (*t->p >= '1' && *t->p <= '9'))
		return translate_back_reference(t);
	else if (translate_class_escape(t, false))
		return true;
	else if (t->reason)
		return false;
	else if (read_character_escape(t, false, &ch))
	{
		if (is_surrogate(ch))
			emit(t, NEVER);
		else
			emit_char(t, ch);
	}
	else if (t->reason)
		return false;
	else
		return fail(t, psprintf("\\%s is not an escape of ECMA-262",
								pnstrdup(t->p, Min(pg_utf_mblen((const unsigned char *) t->p),
												   t->end - t->p))));
	return true;
}

/* After "(". */
static bool
open_group(Translator *t)
{
	Group	   *group;

	if (t->depth >= MAX_GROUPS || t->opened + 1 >= MAX_GROUPS)
		return fail(t, "too many groups");
	group = &t->stack[t->depth++];
	memset(group, 0, sizeof(Group));
	group->first_capture = t->opened;
	if (!accept(t, "?"))
	{
		group->capturing = true;
		t->opened++;
		emit(t, "(");
	}
	else if (accept(t, ":"))
		emit(t, "(?:");
	else if (accept(t, "="))
	{
		group->lookaround = true;
		emit(t, "(?=");
	}
	else if (accept(t, "!"))
	{
		group->lookaround = true;
		emit(t, "(?!");
	}
	else if (accept(t, "<="))
	{
		group->lookaround = group->lookbehind = true;
		emit(t, "(?<=");
	}
	else if (accept(t, "<!"))
	{
		group->lookaround = group->lookbehind = true;
		emit(t, "(?<!");
	}
	else if (accept(t, "<"))
	{
		char	   *name = read_group_name(t);

		if (name == NULL)
			return false;
		for (int i = 1; i <= t->opened; i++)
		{
			if (t->names[i] && strcmp(t->names[i], name) == 0)
				return fail(t, psprintf("the group name %s is used twice",
										name));
		}
		t->names[++t->opened] = name;
		group->capturing = true;
		emit(t, "(");
	}
	else
		return fail(t, "(? must be followed by :, =, !, <=, <! or a <name>");
	return true;
}

/*
 * A repetition after an atom, if there is one.  "first_capture" is the
 * number of groups opened before the atom: those in it are now repeated.
 */
static bool
translate_quantifier(Translator *t, int first_capture, bool repeatable)
{
	int			low = 0;
	int			high = -1;

	if (accept(t, "*"))
		emit(t, "*");
	else if (accept(t, "+"))
		emit(t, "+");
	else if (accept(t, "?"))
	{
		emit(t, "?");
		high = 1;
	}
	else if (accept(t, "{"))
	{
		const char *start = t->p;

		while (t->p < t->end && isdigit((unsigned char) *t->p) && low <= MAX_REPEAT)
			low = low * 10 + (*t->p++ - '0');
		if (t->p == start)
			return fail(t, "{ must begin a repetition {n}, {n,} or {n,m}, or be written \\{");
		high = low;
		if (accept(t, ","))
		{
			start = t->p;
			high = 0;
			while (t->p < t->end && isdigit((unsigned char) *t->p) &&
				   high <= MAX_REPEAT)
				high = high * 10 + (*t->p++ - '0');
			if (t->p == start)
				high = -1;
		}
		if (!accept(t, "}"))
			return fail(t, "{ must begin a repetition {n}, {n,} or {n,m}, or be written \\{");
		if (low > MAX_REPEAT || high > MAX_REPEAT)
			return fail(t, psprintf("a repetition may be at most %d times",
									MAX_REPEAT));
		if (high >= 0 && low > high)
			return fail(t, "a repetition {n,m} is in the wrong order");
		if (high < 0)
			appendStringInfo(&t->out, "{%d,}", low);
		else
			appendStringInfo(&t->out, "{%d,%d}", low, high);
	}
	else
		return true;
	if (!repeatable)
		return fail(t, "there is nothing to repeat");
	if (accept(t, "?"))
		emit(t, "?");
	if (peek(t, "+") || peek(t, "*") || peek(t, "?") || peek(t, "{"))
		return fail(t, "a repetition cannot be repeated; possessive repetitions are not part of ECMA-262");
	if (high != 1 && high != 0)
	{
		for (int i = first_capture + 1; i <= t->opened && i < MAX_GROUPS; i++)
			t->repeated[i] = true;
	}
	return true;
}

/* One atom or assertion with its repetition. */
static bool
translate_term(Translator *t)
{
	int			first_capture = t->opened;
	bool		repeatable = true;

	if (accept(t, "\\"))
	{
		repeatable = !(peek(t, "b") || peek(t, "B"));
		if (!translate_escape(t))
			return false;
	}
	else if (accept(t, "["))
	{
		if (!translate_class(t))
			return false;
	}
	else if (accept(t, "("))
		return open_group(t);
	else if (accept(t, ")"))
	{
		Group	   *group;

		if (t->depth == 0)
			return fail(t, ") without (");
		group = &t->stack[--t->depth];
		first_capture = group->first_capture;
		repeatable = !group->lookaround;
		emit(t, ")");
	}
	else if (accept(t, "."))
		emit(t, ANY_BUT_NEWLINE);
	else if (accept(t, "|"))
	{
		emit(t, "|");
		repeatable = false;
	}
	else if (accept(t, "^"))
	{
		emit(t, "^");
		repeatable = false;
	}
	else if (accept(t, "$"))
	{
		emit(t, "$");
		repeatable = false;
	}
	else if (peek(t, "*") || peek(t, "+") || peek(t, "?"))
		return fail(t, "there is nothing to repeat");
	else if (peek(t, "]") || peek(t, "}"))
		return fail(t, psprintf("%c must be written \\%c", *t->p, *t->p));
	else if (!peek(t, "{"))
		emit_char(t, next_char(t));
	else
		repeatable = false;
	return translate_quantifier(t, first_capture, repeatable);
}

/* Counts capturing groups beforehand, for references to later ones. */
static int
count_captures(const char *p, const char *end)
{
	bool		in_class = false;
	int			n = 0;

	for (; p < end; p++)
	{
		if (*p == '\\')
			p++;
		else if (*p == '[')
			in_class = true;
		else if (*p == ']')
			in_class = false;
		else if (*p == '(' && !in_class &&
				 (end - p < 2 || p[1] != '?' ||
				  (end - p > 3 && p[2] == '<' && p[3] != '=' && p[3] != '!')))
			n++;
	}
	return n;
}

char *
mo_ecma_translate(const char *source, uint32 len, char **reason)
{
	Translator *t = palloc0(sizeof(Translator));

	t->p = source;
	t->end = source + len;
	t->captures = count_captures(t->p, t->end);
	initStringInfo(&t->out);
	while (t->p < t->end && t->reason == NULL)
	{
		CHECK_FOR_INTERRUPTS();
		translate_term(t);
	}
	if (t->reason == NULL && t->depth > 0)
		fail(t, "( without )");

	/*
	 * ECMA-262 forgets what a group captured when a repetition around it
	 * begins another round, PCRE2 keeps it.
	 */
	for (int i = 0; i < t->nreferred && t->reason == NULL; i++)
	{
		if (t->repeated[t->referred[i]])
			fail(t, "a back reference to a group inside a repetition is not supported");
	}
	*reason = t->reason;
	return t->reason ? NULL : t->out.data;
}
