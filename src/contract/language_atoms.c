/*-------------------------------------------------------------------------
 *
 * language_atoms.c
 *	  The alphabet of one search, and the strings that are not wanted.
 *
 * Characters that no set of any term tells apart, nor an excluded string
 * uses, are one "atom".  The excluded strings are a tree that the search walks
 * along, one node of it per state.  Called by language_search.c; works in the
 * current memory context.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"

#include "contract/language_product.h"

/* ---- atoms ---- */

static int
rank_of(uint32 c)
{
	if (c >= 'a' && c <= 'z')
		return 0;
	if (c >= '0' && c <= '9')
		return 1;
	if (c >= 'A' && c <= 'Z')
		return 2;
	if (c == '-' || c == '_' || c == '.' || c == '@')
		return 3;
	if (c > ' ' && c < 127)
		return 4;
	if (c == ' ')
		return 5;
	return c >= 0xA1 ? 6 : 7;
}

static void
choose_shown(MoAtom *atom)
{
	static const char nice[] = "abcdefghijklmnopqrstuvwxyz0123456789"
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ-_.@!#$%&'*+/=?^`{|}~\"(),:;<>[\\] ";

	atom->shown = atom->chars.ranges[0].low;
	for (const char *c = nice; *c; c++)
		if (mo_charset_has(&atom->chars, (unsigned char) *c))
		{
			atom->shown = (unsigned char) *c;
			break;
		}
	/* above Latin-1's control characters when there is a choice */
	if (rank_of(atom->shown) == 7)
		for (int i = 0; i < atom->chars.count; i++)
			if (atom->chars.ranges[i].high >= 0xA1)
			{
				atom->shown = Max(atom->chars.ranges[i].low, 0xA1);
				break;
			}
	atom->rank = rank_of(atom->shown);
}

static int
uint32_cmp(const void *a, const void *b)
{
	uint32		x = *(const uint32 *) a;
	uint32		y = *(const uint32 *) b;

	return x < y ? -1 : x > y;
}

typedef struct Cuts
{
	uint32	   *at;
	int			count;
	int			space;
} Cuts;

static void
cut(Cuts *cuts, uint32 at)
{
	if (cuts->count == cuts->space)
	{
		cuts->space = cuts->space ? cuts->space * 2 : 64;
		cuts->at = cuts->at ?
			repalloc(cuts->at, sizeof(uint32) * cuts->space) :
			palloc(sizeof(uint32) * cuts->space);
	}
	cuts->at[cuts->count++] = at;
}

static void
cut_set(Cuts *cuts, const MoCharSet *set)
{
	for (int i = 0; i < set->count; i++)
	{
		cut(cuts, set->ranges[i].low);
		cut(cuts, set->ranges[i].high + 1);
	}
}

static void
gather_cuts(MoProduct *s, Cuts *cuts)
{
	MoCharSet	word = {0};

	/* U+0000 and surrogates cannot occur; 1 and 0xE000 begin what can */
	cut(cuts, 1);
	cut(cuts, 0xD800);
	cut(cuts, 0xE000);
	cut(cuts, MO_LAST_CHAR + 1);
	mo_charset_class(&word, 'w');
	cut_set(cuts, &word);
	for (int i = 0; i < s->query->nterms; i++)
	{
		const MoLanguage *l = s->query->terms[i].language;

		for (int j = 0; j < l->nsets; j++)
			cut_set(cuts, l->sets[j]);
	}
	for (int i = 1; i < s->ntrie; i++)
	{
		cut(cuts, s->trie[i].c);
		cut(cuts, s->trie[i].c + 1);
	}
	qsort(cuts->at, cuts->count, sizeof(uint32), uint32_cmp);
}

/* Which sets of which terms hold this character, as a string of bits. */
static char *
signature_of(MoProduct *s, uint32 c, bool *word, int *excluded_char)
{
	StringInfoData buf;
	MoCharSet	words = {0};

	initStringInfo(&buf);
	mo_charset_class(&words, 'w');
	*word = mo_charset_has(&words, c);
	*excluded_char = 0;
	for (int i = 1; i < s->ntrie; i++)
		if (s->trie[i].c == c)
			*excluded_char = c;
	appendStringInfo(&buf, "%d/%d/", *excluded_char, *word);
	for (int i = 0; i < s->query->nterms; i++)
	{
		const MoLanguage *l = s->query->terms[i].language;

		for (int j = 0; j < l->nsets; j++)
			appendStringInfoChar(&buf, mo_charset_has(l->sets[j], c) ? '1' : '0');
	}
	pfree(words.ranges);
	return buf.data;
}

static int
atom_cmp(const void *a, const void *b)
{
	const MoAtom *x = a;
	const MoAtom *y = b;

	if (x->rank != y->rank)
		return x->rank - y->rank;
	return x->shown < y->shown ? -1 : x->shown > y->shown;
}

static void
add_interval(MoProduct *s, uint32 low, uint32 high)
{
	bool		word;
	int			excluded_char;
	char	   *signature = signature_of(s, low, &word, &excluded_char);
	MoAtom	   *atom;

	for (int i = 0; i < s->natoms; i++)
		if (strcmp(s->atoms[i].signature, signature) == 0)
		{
			mo_charset_add(&s->atoms[i].chars, low, high);
			pfree(signature);
			return;
		}
	atom = &s->atoms[s->natoms++];
	memset(atom, 0, sizeof(MoAtom));
	mo_charset_add(&atom->chars, low, high);
	atom->word = word;
	atom->excluded_char = excluded_char;
	atom->signature = signature;
}

void
mo_product_make_atoms(MoProduct *s)
{
	Cuts		cuts = {0};

	gather_cuts(s, &cuts);
	s->atoms = palloc(sizeof(MoAtom) * cuts.count);
	for (int i = 0; i + 1 < cuts.count; i++)
	{
		uint32		low = cuts.at[i];
		uint32		high = cuts.at[i + 1] - 1;

		if (low <= high && cuts.at[i] != cuts.at[i + 1] && low >= 1 &&
			high <= MO_LAST_CHAR && !(low >= 0xD800 && high < 0xE000))
			add_interval(s, low, high);
	}
	for (int i = 0; i < s->natoms; i++)
	{
		mo_charset_close(&s->atoms[i].chars);
		choose_shown(&s->atoms[i]);
	}
	qsort(s->atoms, s->natoms, sizeof(MoAtom), atom_cmp);
	s->has = palloc(sizeof(char *) * (s->query->nterms + 1));
	for (int i = 0; i < s->query->nterms; i++)
	{
		const MoLanguage *l = s->query->terms[i].language;

		s->has[i] = palloc(l->nsets * s->natoms + 1);
		for (int j = 0; j < l->nsets; j++)
			for (int k = 0; k < s->natoms; k++)
				s->has[i][j * s->natoms + k] =
					mo_charset_has(l->sets[j], s->atoms[k].shown);
	}
	pfree(cuts.at);
}

/* ---- excluded strings ---- */

int
mo_product_trie_step(const MoProduct *s, int node, uint32 c)
{
	if (node < 0)
		return -1;
	for (int i = s->trie[node].child; i >= 0; i = s->trie[i].sibling)
		if (s->trie[i].c == c)
			return i;
	return -1;
}

void
mo_product_make_trie(MoProduct *s)
{
	int			space = 1;

	for (int i = 0; i < s->query->nexcluded; i++)
		space += strlen(s->query->excluded[i]);
	s->trie = palloc(sizeof(MoTrieNode) * space);
	s->trie[0].c = 0;
	s->trie[0].child = -1;
	s->trie[0].sibling = -1;
	s->trie[0].end = false;
	s->ntrie = 1;
	for (int i = 0; i < s->query->nexcluded; i++)
	{
		const unsigned char *at = (const unsigned char *) s->query->excluded[i];
		int			node = 0;

		while (*at)
		{
			uint32		c = utf8_to_unicode(at);
			int			next = mo_product_trie_step(s, node, c);

			if (next < 0)
			{
				next = s->ntrie++;
				s->trie[next].c = c;
				s->trie[next].child = -1;
				s->trie[next].end = false;
				s->trie[next].sibling = s->trie[node].child;
				s->trie[node].child = next;
			}
			node = next;
			at += pg_utf_mblen(at);
		}
		s->trie[node].end = true;
	}
}
