/*-------------------------------------------------------------------------
 *
 * language_regex.c
 *	  ECMA-262 expressions to automata.
 *
 * A recursive-descent parser makes a tree, which is laid out as a
 * nondeterministic automaton with the assertions ^ $ \b \B as edges that need
 * no character.  Everything that is not regular, or that is read in more than
 * one way by different engines, is refused: the prover then knows less but
 * nothing wrong.  Property escapes (\p{...}) are refused too.
 *
 * Called through mo_language_compile by compare_string.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"

#include "contract/language.h"

#define MAX_STATES 6000

typedef enum TreeKind
{
	TREE_EMPTY,
	TREE_SET,
	TREE_ASSERT,
	TREE_SEQUENCE,
	TREE_CHOICE,
	TREE_REPEAT
} TreeKind;

typedef struct Tree
{
	TreeKind	kind;
	int			set;			/* TREE_SET */
	MoStateKind assertion;
	struct Tree *left;
	struct Tree *right;
	int			min;
	int			max;			/* -1: unbounded */
} Tree;

typedef struct Parser
{
	const char *at;
	MoLanguage *language;
	const char *error;			/* constant; set once */
} Parser;

static Tree *parse_choice(Parser *p);

static Tree *
fail(Parser *p, const char *error)
{
	if (p->error == NULL)
		p->error = error;
	return NULL;
}

static Tree *
make(TreeKind kind, Tree *left, Tree *right)
{
	Tree	   *t = palloc0(sizeof(Tree));

	t->kind = kind;
	t->left = left;
	t->right = right;
	return t;
}

static int
new_set(MoLanguage *l)
{
	if ((l->nsets & (l->nsets - 1)) == 0)
		l->sets = l->nsets == 0 ? palloc(sizeof(MoCharSet *)) :
			repalloc(l->sets, sizeof(MoCharSet *) * l->nsets * 2);
	l->sets[l->nsets] = palloc0(sizeof(MoCharSet));
	return l->nsets++;
}

static Tree *
set_tree(int set)
{
	Tree	   *t = make(TREE_SET, NULL, NULL);

	t->set = set;
	return t;
}

static Tree *
char_tree(Parser *p, uint32 c)
{
	int			set = new_set(p->language);

	mo_charset_add(p->language->sets[set], c, c);
	return set_tree(set);
}

static uint32
next_char(Parser *p)
{
	uint32		c = utf8_to_unicode((const unsigned char *) p->at);

	p->at += pg_utf_mblen((const unsigned char *) p->at);
	return c;
}

static bool
hex_number(Parser *p, int digits, uint32 *c)
{
	*c = 0;
	for (int i = 0; i < digits; i++)
	{
		char		x = p->at[i];

		if (!isxdigit((unsigned char) x))
			return false;
		*c = *c * 16 + (x <= '9' ? x - '0' : (x | 32) - 'a' + 10);
	}
	p->at += digits;
	return true;
}

/* After "\u": four digits, a surrogate pair or a number in braces. */
static bool
unicode_escape(Parser *p, uint32 *c)
{
	uint32		second;

	if (*p->at == '{')
	{
		*c = 0;
		for (p->at++; *p->at != '}'; p->at++)
		{
			if (!isxdigit((unsigned char) *p->at) || *c > MO_LAST_CHAR)
				return false;
			*c = *c * 16 + (*p->at <= '9' ? *p->at - '0' :
							(*p->at | 32) - 'a' + 10);
		}
		p->at++;
		return *c <= MO_LAST_CHAR;
	}
	if (!hex_number(p, 4, c))
		return false;
	if (*c >= 0xD800 && *c < 0xDC00 && p->at[0] == '\\' && p->at[1] == 'u')
	{
		p->at += 2;
		if (!hex_number(p, 4, &second) || second < 0xDC00 || second > 0xDFFF)
			return false;
		*c = 0x10000 + ((*c - 0xD800) << 10) + (second - 0xDC00);
	}
	/* half of a pair never occurs in UTF-8 */
	return *c < 0xD800 || *c > 0xDFFF;
}

/* An escape that stands for one character; the backslash is read already. */
static bool
char_escape(Parser *p, uint32 *c)
{
	char		letter = *p->at++;

	switch (letter)
	{
		case 't':
			*c = '\t';
			return true;
		case 'n':
			*c = '\n';
			return true;
		case 'r':
			*c = '\r';
			return true;
		case 'v':
			*c = '\v';
			return true;
		case 'f':
			*c = '\f';
			return true;
		case '0':
			*c = 0;
			return !isdigit((unsigned char) *p->at);
		case 'c':
			if (!isalpha((unsigned char) *p->at))
				return false;
			*c = *p->at++ & 31;
			return true;
		case 'x':
			return hex_number(p, 2, c);
		case 'u':
			return unicode_escape(p, c);
		default:
			*c = (unsigned char) letter;
			return letter != '\0' && strchr("^$\\.*+?()[]{}|/-", letter) != NULL;
	}
}

/* One member of a [class]: a character, or a class of its own. */
static bool
class_member(Parser *p, MoCharSet *set, uint32 *c, bool *is_class)
{
	*is_class = false;
	if (*p->at != '\\')
	{
		*c = next_char(p);
		return true;
	}
	p->at++;
	if (*p->at == 'b')
	{
		p->at++;
		*c = '\b';
		return true;
	}
	if (*p->at != '.' && mo_charset_class(set, *p->at))
	{
		p->at++;
		*is_class = true;
		return true;
	}
	return char_escape(p, c);
}

static Tree *
parse_class(Parser *p)
{
	int			index = new_set(p->language);
	MoCharSet  *set = p->language->sets[index];
	bool		inverse = (*p->at == '^');

	if (inverse)
		p->at++;
	while (*p->at != ']')
	{
		uint32		low;
		uint32		high;
		bool		is_class;

		if (*p->at == '\0' || !class_member(p, set, &low, &is_class))
			return fail(p, "a character class that cannot be read");
		if (p->at[0] == '-' && p->at[1] != ']')
		{
			bool		class_too;

			p->at++;
			if (is_class || *p->at == '\0' ||
				!class_member(p, set, &high, &class_too) || class_too ||
				high < low)
				return fail(p, "a character range that cannot be read");
			mo_charset_add(set, low, high);
		}
		else if (!is_class)
			mo_charset_add(set, low, low);
	}
	p->at++;
	mo_charset_close(set);
	if (inverse)
		mo_charset_invert(set);
	return set_tree(index);
}

static Tree *
parse_group(Parser *p)
{
	Tree	   *t;

	if (p->at[0] == '?')
	{
		if (p->at[1] == ':')
			p->at += 2;
		else if (p->at[1] == '<' && p->at[2] != '=' && p->at[2] != '!')
		{
			const char *end = strchr(p->at, '>');

			if (end == NULL)
				return fail(p, "a group that cannot be read");
			p->at = end + 1;
		}
		else
			return fail(p, "look-around");
	}
	t = parse_choice(p);
	if (t == NULL)
		return NULL;
	if (*p->at != ')')
		return fail(p, "a group that cannot be read");
	p->at++;
	return t;
}

static Tree *
parse_assertion(Parser *p, MoStateKind kind)
{
	Tree	   *t = make(TREE_ASSERT, NULL, NULL);

	t->assertion = kind;
	if (kind == MO_STATE_BOUNDARY || kind == MO_STATE_NO_BOUNDARY)
		p->language->boundaries = true;
	return t;
}

static Tree *
parse_escape(Parser *p)
{
	uint32		c;
	int			set;

	switch (*p->at)
	{
		case 'b':
			p->at++;
			return parse_assertion(p, MO_STATE_BOUNDARY);
		case 'B':
			p->at++;
			return parse_assertion(p, MO_STATE_NO_BOUNDARY);
		case 'd':
		case 'D':
		case 'w':
		case 'W':
		case 's':
		case 'S':
			set = new_set(p->language);
			mo_charset_class(p->language->sets[set], *p->at++);
			mo_charset_close(p->language->sets[set]);
			return set_tree(set);
		case 'k':
			return fail(p, "a back-reference");
		case 'p':
		case 'P':
			return fail(p, "a Unicode property");
		default:
			if (*p->at >= '1' && *p->at <= '9')
				return fail(p, "a back-reference");
			if (!char_escape(p, &c))
				return fail(p, "an escape that cannot be read");
			return char_tree(p, c);
	}
}

static Tree *
parse_atom(Parser *p)
{
	int			set;

	switch (*p->at)
	{
		case '(':
			p->at++;
			return parse_group(p);
		case '[':
			p->at++;
			return parse_class(p);
		case '.':
			p->at++;
			set = new_set(p->language);
			mo_charset_class(p->language->sets[set], '.');
			return set_tree(set);
		case '^':
			p->at++;
			return parse_assertion(p, MO_STATE_START);
		case '$':
			p->at++;
			return parse_assertion(p, MO_STATE_END);
		case '\\':
			p->at++;
			return parse_escape(p);
		case '*':
		case '+':
		case '?':
		case '{':
		case '}':
		case ']':
			return fail(p, "a character that different engines read differently");
		default:
			return char_tree(p, next_char(p));
	}
}

static bool
parse_number(Parser *p, int *n)
{
	if (!isdigit((unsigned char) *p->at))
		return false;
	*n = 0;
	for (; isdigit((unsigned char) *p->at); p->at++)
		*n = Min(*n * 10 + (*p->at - '0'), MAX_STATES + 1);
	return true;
}

/* What follows an atom: how often it may come.  False when malformed. */
static bool
parse_quantifier(Parser *p, int *min, int *max)
{
	switch (*p->at)
	{
		case '*':
		case '+':
		case '?':
			*min = (*p->at == '+');
			*max = (*p->at == '?') ? 1 : -1;
			p->at++;
			break;
		case '{':
			p->at++;
			if (!parse_number(p, min))
				return false;
			*max = *min;
			if (*p->at == ',')
			{
				p->at++;
				if (!parse_number(p, max))
					*max = -1;
			}
			if (*p->at++ != '}' || (*max >= 0 && *max < *min))
				return false;
			break;
		default:
			*min = *max = 1;
			return true;
	}
	/* lazy or greedy: the same strings */
	if (*p->at == '?')
		p->at++;
	return true;
}

static Tree *
parse_sequence(Parser *p)
{
	Tree	   *result = make(TREE_EMPTY, NULL, NULL);

	while (*p->at != '\0' && *p->at != '|' && *p->at != ')')
	{
		Tree	   *atom = parse_atom(p);
		Tree	   *repeat;

		if (atom == NULL)
			return NULL;
		repeat = make(TREE_REPEAT, atom, NULL);
		if (!parse_quantifier(p, &repeat->min, &repeat->max))
			return fail(p, "a quantifier that cannot be read");
		if (repeat->min == 1 && repeat->max == 1)
			repeat = atom;
		else if (atom->kind == TREE_ASSERT)
			return fail(p, "a quantified assertion");
		result = result->kind == TREE_EMPTY ? repeat :
			make(TREE_SEQUENCE, result, repeat);
	}
	return result;
}

static Tree *
parse_choice(Parser *p)
{
	Tree	   *result;

	check_stack_depth();
	result = parse_sequence(p);
	while (result != NULL && *p->at == '|')
	{
		Tree	   *other;

		p->at++;
		other = parse_sequence(p);
		if (other == NULL)
			return NULL;
		result = make(TREE_CHOICE, result, other);
	}
	return result;
}

/* ---- the automaton, laid out from its end to its start ---- */

static int
add_state(Parser *p, MoStateKind kind, int set, int next, int other)
{
	MoLanguage *l = p->language;

	if (l->nstates >= MAX_STATES)
	{
		fail(p, "its size");
		return 0;
	}
	if (l->nstates == l->space)
	{
		l->space = l->space ? l->space * 2 : 32;
		l->states = l->states ?
			repalloc(l->states, sizeof(MoState) * l->space) :
			palloc(sizeof(MoState) * l->space);
	}
	l->states[l->nstates].kind = kind;
	l->states[l->nstates].set = set;
	l->states[l->nstates].next = next;
	l->states[l->nstates].other = other;
	return l->nstates++;
}

static int	lay_out(Parser *p, const Tree *t, int next);

/* atom* before next */
static int
lay_out_loop(Parser *p, const Tree *atom, int next)
{
	int			loop = add_state(p, MO_STATE_SPLIT, 0, -1, next);
	int			body = lay_out(p, atom, loop);

	p->language->states[loop].next = body;
	return loop;
}

static int
lay_out_repeat(Parser *p, const Tree *t, int next)
{
	int			end = next;

	if (t->max < 0)
		next = lay_out_loop(p, t->left, next);
	for (int i = t->min; i < t->max && p->error == NULL; i++)
		next = add_state(p, MO_STATE_SPLIT, 0, lay_out(p, t->left, next), end);
	for (int i = 0; i < t->min && p->error == NULL; i++)
		next = lay_out(p, t->left, next);
	return next;
}

/* The state from which t is read and then "next" reached. */
static int
lay_out(Parser *p, const Tree *t, int next)
{
	check_stack_depth();
	if (p->error != NULL)
		return 0;
	switch (t->kind)
	{
		case TREE_EMPTY:
			return next;
		case TREE_SET:
			return add_state(p, MO_STATE_CHAR, t->set, next, -1);
		case TREE_ASSERT:
			return add_state(p, t->assertion, 0, next, -1);
		case TREE_SEQUENCE:
			return lay_out(p, t->left, lay_out(p, t->right, next));
		case TREE_CHOICE:
			return add_state(p, MO_STATE_SPLIT, 0,
							 lay_out(p, t->left, next),
							 lay_out(p, t->right, next));
		case TREE_REPEAT:
			return lay_out_repeat(p, t, next);
	}
	return next;
}

/* Does every string of the tree begin (end) with the assertion? */
static bool
anchored(const Tree *t, MoStateKind assertion)
{
	switch (t->kind)
	{
		case TREE_ASSERT:
			return t->assertion == assertion;
		case TREE_SEQUENCE:
			return anchored(assertion == MO_STATE_START ? t->left : t->right,
							assertion);
		case TREE_CHOICE:
			return anchored(t->left, assertion) &&
				anchored(t->right, assertion);
		default:
			return false;
	}
}

/* A match may begin and end anywhere: any characters around it. */
static void
lay_out_all(Parser *p, const Tree *t)
{
	int			set = new_set(p->language);
	Tree	   *any = set_tree(set);
	int			next;

	mo_charset_add(p->language->sets[set], 0, MO_LAST_CHAR);
	next = add_state(p, MO_STATE_MATCH, 0, -1, -1);
	if (!anchored(t, MO_STATE_END))
		next = lay_out_loop(p, any, next);
	next = lay_out(p, t, next);
	if (!anchored(t, MO_STATE_START))
		next = lay_out_loop(p, any, next);
	p->language->start = next;
}

MoLanguage *
mo_language_compile(const char *pattern, MemoryContext context,
					const char **reason)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	Parser		p = {.at = pattern};
	Tree	   *tree;

	p.language = palloc0(sizeof(MoLanguage));
	tree = parse_choice(&p);
	if (tree != NULL && *p.at != '\0')
		fail(&p, "an unmatched parenthesis");
	if (p.error == NULL)
		lay_out_all(&p, tree);
	MemoryContextSwitchTo(old);
	*reason = p.error;
	return p.error == NULL ? p.language : NULL;
}
