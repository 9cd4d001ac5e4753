/*-------------------------------------------------------------------------
 *
 * language_product.h
 *	  The state of one search, shared by language_search.c and
 *	  language_atoms.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_LANGUAGE_PRODUCT_H
#define MO_LANGUAGE_PRODUCT_H

#include "contract/language.h"

/* What came before the current place. */
typedef enum MoBefore
{
	MO_BEFORE_NOTHING,
	MO_BEFORE_OTHER,
	MO_BEFORE_WORD
} MoBefore;

/* What comes after it. */
typedef enum MoAfter
{
	MO_AFTER_OTHER,
	MO_AFTER_WORD,
	MO_AFTER_NOTHING
} MoAfter;

typedef struct MoAtom
{
	MoCharSet	chars;
	uint32		shown;			/* the nicest of them */
	bool		word;
	int			rank;			/* order in which atoms are tried */
	char	   *signature;
	int			excluded_char;	/* the character an excluded string has, or 0 */
} MoAtom;

typedef struct MoTrieNode
{
	uint32		c;
	int			child;			/* first, or -1 */
	int			sibling;
	bool		end;
} MoTrieNode;

/* One state of the product; its sets lie in MoProduct.words. */
typedef struct MoProductState
{
	uint32		hash;
	int			parent;
	int			atom;			/* that led here from the parent */
	int64		depth;
	MoBefore		before;
	int			trie;			/* -1: off the tree */
	int64		short_by;		/* characters missing to the minimum */
	int			next;			/* hash chain */
	int			to_accept;		/* distance to an accepting node, or -1 */
	bool		accepting;
} MoProductState;

typedef struct MoProduct
{
	MoLanguageQuery *query;
	MoAtom	   *atoms;
	int			natoms;
	char	  **has;			/* per term: [set * natoms + atom] */
	int		   *offset;			/* per term: first word of its set */
	int			width;			/* words of all sets of one node */
	MoTrieNode   *trie;
	int			ntrie;
	MoProductState *nodes;
	int			nnodes;
	int			space;
	uint64	   *words;
	int		   *edges;			/* [node * natoms + atom], or -1 */
	int		   *slots;
	uint32		nslots;
	uint64	   *closed[2];		/* closures of the node being expanded */
	uint64	   *draft;
	bool		refused;		/* accept refused a string */
	uint64		seed;
} MoProduct;

/* language_atoms.c */
extern void mo_product_make_trie(MoProduct *s);
extern void mo_product_make_atoms(MoProduct *s);
extern int	mo_product_trie_step(const MoProduct *s, int node, uint32 c);

#endif							/* MO_LANGUAGE_PRODUCT_H */
