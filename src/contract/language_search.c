/*-------------------------------------------------------------------------
 *
 * language_search.c
 *	  A string that is in all of some languages and in none of others.
 *
 * Breadth-first over the product of the automata, whose states are made as
 * they are met: for every term the set of its automaton's states, what kind
 * of character came last, the place in the tree of excluded strings, and the
 * length as long as it is below the minimum.  The first accepting state gives
 * a shortest string; a finished search without one proves there is none.
 *
 * Characters that no term tells apart are taken together (an "atom"), with
 * one of them to write.  When the caller has further conditions (accept),
 * more strings are made by random walks through the states that were found.
 *
 * Called by compare_string.c.  Works in the current memory context and leaves
 * its memory there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "port/pg_bitutils.h"
#include "utils/memutils.h"

#include "contract/language_product.h"

/* ---- steps of one term ---- */

static inline bool
has_bit(const uint64 *set, int i)
{
	return (set[i / 64] >> (i % 64)) & 1;
}

static bool
passes(MoStateKind kind, MoBefore before, MoAfter after)
{
	bool		boundary = (before == MO_BEFORE_WORD) != (after == MO_AFTER_WORD);

	switch (kind)
	{
		case MO_STATE_START:
			return before == MO_BEFORE_NOTHING;
		case MO_STATE_END:
			return after == MO_AFTER_NOTHING;
		case MO_STATE_BOUNDARY:
			return boundary;
		case MO_STATE_NO_BOUNDARY:
			return !boundary;
		default:
			return true;
	}
}

/* Adds what can be reached from the states of the set without a character. */
static void
close_set(const MoLanguage *l, uint64 *set, MoBefore before, MoAfter after,
		  int *stack)
{
	int			n = 0;

	for (int i = 0; i < l->nstates; i++)
		if (has_bit(set, i))
			stack[n++] = i;
	while (n > 0)
	{
		const MoState *state = &l->states[stack[--n]];
		int			targets[2] = {-1, -1};

		if (state->kind == MO_STATE_CHAR || state->kind == MO_STATE_MATCH ||
			!passes(state->kind, before, after))
			continue;
		targets[0] = state->next;
		targets[1] = state->other;
		for (int i = 0; i < 2; i++)
			if (targets[i] >= 0 && !has_bit(set, targets[i]))
			{
				set[targets[i] / 64] |= UINT64CONST(1) << (targets[i] % 64);
				stack[n++] = targets[i];
			}
	}
}

static int
term_width(const MoLanguage *l)
{
	return (l->nstates + 63) / 64;
}

/* All terms' closures at a node, into "to". */
static void
close_all(MoProduct *s, const uint64 *from, uint64 *to, MoBefore before,
		  MoAfter after)
{
	memcpy(to, from, sizeof(uint64) * s->width);
	for (int i = 0; i < s->query->nterms; i++)
	{
		const MoLanguage *l = s->query->terms[i].language;
		int		   *stack = palloc(sizeof(int) * (l->nstates + 1));

		close_set(l, to + s->offset[i], before, after, stack);
		pfree(stack);
	}
}

/* Moves all terms over the atom; false when one can never match any more. */
static bool
move_all(MoProduct *s, const uint64 *from, int atom, uint64 *to)
{
	memset(to, 0, sizeof(uint64) * s->width);
	for (int i = 0; i < s->query->nterms; i++)
	{
		const MoLanguage *l = s->query->terms[i].language;
		const uint64 *set = from + s->offset[i];
		uint64	   *result = to + s->offset[i];
		bool		alive = false;

		for (int w = 0; w < term_width(l); w++)
			for (uint64 rest = set[w]; rest != 0; rest &= rest - 1)
			{
				const MoState *state =
				&l->states[w * 64 + pg_rightmost_one_pos64(rest)];

				if (state->kind != MO_STATE_CHAR ||
					!s->has[i][state->set * s->natoms + atom])
					continue;
				result[state->next / 64] |= UINT64CONST(1) << (state->next % 64);
				alive = true;
			}
		if (!alive && !s->query->terms[i].negated)
			return false;
	}
	return true;
}

/* ---- states of the product ---- */

static uint32
node_hash(const MoProduct *s, const MoProductState *n, const uint64 *sets)
{
	uint32		h = hash_bytes((const unsigned char *) sets,
							   sizeof(uint64) * s->width);

	h = hash_combine(h, murmurhash32((uint32) n->short_by));
	return hash_combine(h, murmurhash32((uint32) (n->trie * 3 + n->before)));
}

static void
grow_nodes(MoProduct *s)
{
	s->space *= 2;
	s->nodes = repalloc(s->nodes, sizeof(MoProductState) * s->space);
	s->words = repalloc_huge(s->words, sizeof(uint64) * s->width * s->space +
							 sizeof(uint64));
	s->edges = repalloc_huge(s->edges, sizeof(int) * s->natoms * s->space +
							 sizeof(int));
	s->nslots = s->space;
	s->slots = repalloc(s->slots, sizeof(int) * s->nslots);
	memset(s->slots, -1, sizeof(int) * s->nslots);
	for (int i = 0; i < s->nnodes; i++)
	{
		int		   *slot = &s->slots[s->nodes[i].hash & (s->nslots - 1)];

		s->nodes[i].next = *slot;
		*slot = i;
	}
}

/* The state equal to the draft, which is added when it is new. */
static int
intern_node(MoProduct *s, MoProductState *draft, const uint64 *sets)
{
	MoProductState *n;
	int		   *slot;

	draft->hash = node_hash(s, draft, sets);
	for (int i = s->slots[draft->hash & (s->nslots - 1)]; i >= 0;
		 i = s->nodes[i].next)
	{
		n = &s->nodes[i];
		if (n->hash == draft->hash && n->before == draft->before &&
			n->trie == draft->trie && n->short_by == draft->short_by &&
			memcmp(s->words + (Size) i * s->width, sets,
				   sizeof(uint64) * s->width) == 0)
			return i;
	}
	if (s->nnodes == s->space)
		grow_nodes(s);
	n = &s->nodes[s->nnodes];
	*n = *draft;
	n->to_accept = -1;
	n->accepting = false;
	memcpy(s->words + (Size) s->nnodes * s->width, sets,
		   sizeof(uint64) * s->width);
	for (int i = 0; i < s->natoms; i++)
		s->edges[(Size) s->nnodes * s->natoms + i] = -1;
	slot = &s->slots[n->hash & (s->nslots - 1)];
	n->next = *slot;
	*slot = s->nnodes;
	return s->nnodes++;
}

static bool
accepts(MoProduct *s, const MoProductState *n, const uint64 *sets)
{
	if (n->short_by > 0 || (n->trie >= 0 && s->trie[n->trie].end))
		return false;
	close_all(s, sets, s->draft, n->before, MO_AFTER_NOTHING);
	for (int i = 0; i < s->query->nterms; i++)
	{
		const MoLanguage *l = s->query->terms[i].language;
		bool		match = false;

		for (int j = 0; j < l->nstates && !match; j++)
			match = l->states[j].kind == MO_STATE_MATCH &&
				has_bit(s->draft + s->offset[i], j);
		if (match == s->query->terms[i].negated)
			return false;
	}
	return true;
}

static void
append_char(StringInfo word, uint32 c)
{
	unsigned char utf8[8] = {0};

	unicode_to_utf8(c, utf8);
	appendBinaryStringInfo(word, (char *) utf8,
						   pg_utf_mblen(utf8));
}

/* The string that leads to a node. */
static void
spell(MoProduct *s, int node, StringInfo word)
{
	int			depth = (int) s->nodes[node].depth;
	uint32	   *chars = palloc(sizeof(uint32) * (depth + 1));

	resetStringInfo(word);
	for (int i = depth; i-- > 0; node = s->nodes[node].parent)
		chars[i] = s->atoms[s->nodes[node].atom].shown;
	for (int i = 0; i < depth; i++)
		append_char(word, chars[i]);
	pfree(chars);
}

static bool
offer(MoProduct *s, StringInfo word)
{
	if (s->query->accept(s->query->arg, word->data, word->len))
		return true;
	s->refused = true;
	return false;
}

/* Adds the node's successors. */
static void
expand(MoProduct *s, int node)
{
	MoProductState from = s->nodes[node];

	if (from.depth >= s->query->max_chars)
		return;
	close_all(s, s->words + (Size) node * s->width, s->closed[MO_AFTER_OTHER],
			  from.before, MO_AFTER_OTHER);
	close_all(s, s->words + (Size) node * s->width, s->closed[MO_AFTER_WORD],
			  from.before, MO_AFTER_WORD);
	for (int i = 0; i < s->natoms; i++)
	{
		const MoAtom *atom = &s->atoms[i];
		MoProductState to = {.parent = node,.atom = i,.depth = from.depth + 1};
		int			index;

		if (!move_all(s, s->closed[atom->word ? MO_AFTER_WORD : MO_AFTER_OTHER], i,
					  s->draft))
			continue;
		to.before = atom->word ? MO_BEFORE_WORD : MO_BEFORE_OTHER;
		to.trie = atom->excluded_char == 0 ? -1 :
			mo_product_trie_step(s, from.trie, atom->excluded_char);
		to.short_by = from.short_by > 0 ? from.short_by - 1 : 0;
		index = intern_node(s, &to, s->draft);
		s->edges[(Size) node * s->natoms + i] = index;
	}
}

/* ---- more strings, by random walks ---- */

static uint32
random_below(MoProduct *s, uint32 n)
{
	/* xorshift: the same strings every time */
	s->seed ^= s->seed << 13;
	s->seed ^= s->seed >> 7;
	s->seed ^= s->seed << 17;
	return (uint32) ((s->seed >> 11) % n);
}

/* How far it is from every node to an accepting one. */
static void
measure(MoProduct *s)
{
	bool		changed = true;

	for (int i = 0; i < s->nnodes; i++)
		s->nodes[i].to_accept = s->nodes[i].accepting ? 0 : -1;
	while (changed)
	{
		changed = false;
		for (int i = s->nnodes; i-- > 0;)
			for (int a = 0; a < s->natoms; a++)
			{
				int			to = s->edges[(Size) i * s->natoms + a];
				int			far;

				if (to < 0 || s->nodes[to].to_accept < 0)
					continue;
				far = s->nodes[to].to_accept + 1;
				if (s->nodes[i].to_accept < 0 || s->nodes[i].to_accept > far)
				{
					s->nodes[i].to_accept = far;
					changed = true;
				}
			}
	}
}

static uint32
random_char(MoProduct *s, const MoAtom *atom)
{
	static const char usual[] =
	"aB3cD-x9Qe.Zk0_7m@/:1pRt+2 !#$%&";

	for (int i = 0; i < 24; i++)
	{
		uint32		c = usual[random_below(s, sizeof(usual) - 1)];

		if (mo_charset_has(&atom->chars, c))
			return c;
	}
	return atom->shown;
}

static bool
walk(MoProduct *s, StringInfo word, int longer_by)
{
	int			node = 0;
	int64		depth = 0;

	resetStringInfo(word);
	while (!(s->nodes[node].accepting && longer_by <= 0))
	{
		int			atom = -1;
		int			seen = 0;

		for (int a = 0; a < s->natoms; a++)
		{
			int			to = s->edges[(Size) node * s->natoms + a];

			if (to < 0 || s->nodes[to].to_accept < 0 ||
				depth + 1 + s->nodes[to].to_accept > s->query->max_chars)
				continue;
			/* out of patience: only what leads closer */
			if (longer_by <= 0 &&
				s->nodes[to].to_accept >= s->nodes[node].to_accept)
				continue;
			if (random_below(s, ++seen) == 0)
				atom = a;
		}
		if (atom < 0)
			break;
		append_char(word, random_char(s, &s->atoms[atom]));
		node = s->edges[(Size) node * s->natoms + atom];
		depth++;
		longer_by--;
	}
	return s->nodes[node].accepting;
}

static MoLanguageResult
walk_often(MoProduct *s, StringInfo word)
{
	measure(s);
	if (s->nodes[0].to_accept < 0)
		return MO_LANGUAGE_UNKNOWN;
	for (int i = 0; i < s->query->max_words; i++)
	{
		if (!s->query->tick(s->query->arg))
			break;
		if (walk(s, word, i % 17) && offer(s, word))
			return MO_LANGUAGE_FOUND;
	}
	return MO_LANGUAGE_UNKNOWN;
}

/* ---- the search ---- */

static void
begin(MoProduct *s)
{
	MoLanguageQuery *q = s->query;
	MoProductState first = {.parent = -1,.before = MO_BEFORE_NOTHING};
	uint64	   *sets;

	mo_product_make_trie(s);
	mo_product_make_atoms(s);
	s->offset = palloc(sizeof(int) * (q->nterms + 1));
	for (int i = 0; i < q->nterms; i++)
	{
		s->offset[i] = s->width;
		s->width += term_width(q->terms[i].language);
	}
	s->space = s->nslots = 64;
	s->nodes = palloc(sizeof(MoProductState) * s->space);
	s->words = palloc(sizeof(uint64) * (s->width * s->space + 1));
	s->edges = palloc(sizeof(int) * (s->natoms * s->space + 1));
	s->slots = palloc(sizeof(int) * s->nslots);
	memset(s->slots, -1, sizeof(int) * s->nslots);
	s->closed[0] = palloc(sizeof(uint64) * (s->width + 1));
	s->closed[1] = palloc(sizeof(uint64) * (s->width + 1));
	s->draft = palloc(sizeof(uint64) * (s->width + 1));
	s->seed = UINT64CONST(0x9E3779B97F4A7C15);
	sets = palloc0(sizeof(uint64) * (s->width + 1));
	for (int i = 0; i < q->nterms; i++)
	{
		int			start = q->terms[i].language->start;

		sets[s->offset[i] + start / 64] |= UINT64CONST(1) << (start % 64);
	}
	first.short_by = q->min_chars;
	intern_node(s, &first, sets);
	pfree(sets);
}

MoLanguageResult
mo_language_search(MoLanguageQuery *query)
{
	MoProduct	s = {.query = query};
	StringInfoData word;

	if (query->min_chars > query->max_chars)
		return MO_LANGUAGE_EMPTY;
	begin(&s);
	initStringInfo(&word);
	for (int i = 0; i < s.nnodes; i++)
	{
		if (i >= query->max_states || !query->tick(query->arg))
			return s.refused ? walk_often(&s, &word) : MO_LANGUAGE_UNKNOWN;
		s.nodes[i].accepting = accepts(&s, &s.nodes[i],
									   s.words + (Size) i * s.width);
		if (s.nodes[i].accepting)
		{
			spell(&s, i, &word);
			if (offer(&s, &word))
				return MO_LANGUAGE_FOUND;
		}
		expand(&s, i);
	}
	return s.refused ? walk_often(&s, &word) : MO_LANGUAGE_EMPTY;
}
