/*-------------------------------------------------------------------------
 *
 * ecma_property.c
 *	  Unicode properties: \p{...} of ECMA-262.
 *
 * Called by ecma_class.c.  Only names that ECMA-262 has are taken, PCRE2's
 * own (L&, Xan, bare scripts) are not.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "contract/ecma.h"

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
bool
mo_ecma_property(MoTranslator *t, bool negated)
{
	const char *close;
	char	   *name;
	char	   *equals;
	const char *category = NULL;
	char		letter = negated ? 'P' : 'p';

	if (!mo_ecma_accept(t, "{") || (close = memchr(t->p, '}', t->end - t->p)) == NULL)
		return mo_ecma_fail(t, "\\p needs a property name in braces");
	name = pnstrdup(t->p, close - t->p);
	t->p = close + 1;
	equals = strchr(name, '=');
	if (equals)
	{
		*equals++ = '\0';
		if (strspn(equals, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_") != strlen(equals))
			return mo_ecma_fail(t, "a property value is made of letters");
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
			return mo_ecma_fail(t, psprintf("there is no Unicode property %s=%s",
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
		return mo_ecma_fail(t, psprintf("there is no Unicode property %s", name));
	return true;
}
