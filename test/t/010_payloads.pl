# Whatever a stranger, a producer or a consumer calls, reads or listens to,
# what others' events hold is not in it; nor is it in the server's log.
#
# Every value of the events has a word in it that is looked for.  Every view
# and every function that anybody may execute is tried; a function with a
# parameter that this test does not know fails it.

use strict;
use warnings FATAL => 'all';

use MeshOutbox::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my $secret = 'xylophone';
my $node = new_node('main', 'log_statement = none', 'log_min_error_statement = panic', 'log_min_messages = debug1');
create_publisher($node, 'embedded');
$node->safe_psql('postgres', qq(
	CREATE ROLE sales_owner LOGIN;
	CREATE ROLE other_owner LOGIN;
	CREATE ROLE steward LOGIN;
	CREATE ROLE app LOGIN;
	CREATE ROLE nobody LOGIN;
	CREATE ROLE watcher LOGIN IN ROLE pg_monitor;
	CREATE SCHEMA sales AUTHORIZATION sales_owner;
	CREATE SCHEMA other AUTHORIZATION other_owner;
	GRANT USAGE ON SCHEMA sales TO PUBLIC;
	SELECT mesh_outbox.create_domain('sales', owner => 'sales_owner', description => 'sales', steward => 'steward');
	SELECT mesh_outbox.create_domain('other', owner => 'other_owner', description => 'other');
	SELECT mesh_outbox.create_product('other.mine', purpose => 'p');
	SELECT mesh_outbox.create_term('word', '{"type": "string"}', domain => 'sales', description => 'd');
	SELECT mesh_outbox.register_schema('https://example.org/s', '{}');
));

sub event
{
	my ($type, $payload) = @_;
	return qq(INSERT INTO sales.outbox (event_type, payload, headers, correlation_id, causation_id)
		VALUES ('$type', '$payload', '{"h": "$secret-h"}', '$secret-c', '$secret-e'));
}
sub as
{
	my ($role, $sql) = @_;
	my ($out, $err) = ('', '');
	$node->psql('postgres', $sql, on_error_stop => 0, stdout => \$out, stderr => \$err,
		extra_params => [ '-U', $role, '-v', 'VERBOSITY=verbose', '-v', 'SHOW_CONTEXT=always' ]);
	return "$out\n$err";
}
my $schema = q({"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "n": {"type": "integer"},
	"pad": {"type": "string"}, "card": {"type": "string", "x-privacy": "personal", "maxLength": 40}}});
my $sales = qq(
	LISTEN mesh_outbox;
	SELECT mesh_outbox.create_product('sales.orders', purpose => 'p', topic => 'sales.orders');
	SELECT mesh_outbox.alter_product('sales.orders', freshness => '1 s', quality => '{"null_rate": {"/pad": 0.1}}');
	SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', schema => '$schema', key => '/id', description => 'd');
	SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0');
	SELECT mesh_outbox.set_enforcement('sales.orders', 'OrderPlaced', '1.0.0', 'quarantine', reason => 'r');
	SELECT mesh_outbox.create_outbox('sales.outbox', product => 'sales.orders');
	SELECT mesh_outbox.grant_publish('sales.orders', 'app'););
unlike(as('sales_owner', $sales), qr/ERROR/, 'a product with a contract and an outbox');
unlike(as('other_owner', q(SELECT mesh_outbox.register_consumer('other', 'sales.orders', 'OrderPlaced', contact => 'c'))), qr/ERROR/, 'and a consumer');
my $heard = $node->background_psql('postgres', extra_params => [ '-U', 'nobody' ]);
$heard->query_safe('LISTEN mesh_outbox');
as('sales_owner', event('OrderPlaced', qq({"id": "$secret-1", "card": "$secret-card"})));
as('sales_owner', event('OrderPlaced', qq({"id": "$secret-2", "$secret-name": 1, "n": "$secret-n"})));
as('sales_owner', event('OrderPlaced', qq({"id": "$secret-3", "pad": "$secret-pad"})));
as('sales_owner', event("Lost_$secret", '{"id": "x"}'));
wait_published($node);
is($node->safe_psql('postgres', 'SELECT count(*) FROM mesh_outbox.dead_letter'), '1', 'a dead letter');
unlike(as('sales_owner', qq(
	SELECT mesh_outbox.set_change_rules('sales.orders', notice => '1 day');
	SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'd',
		schema => '{"type": "object", "required": ["id"], "properties": {"id": {"type": "string", "maxLength": 3}}}', override_reason => 'r');
	SELECT * FROM mesh_outbox.trial_failures('sales.orders', 'OrderPlaced', '{"type": "object"}'))), qr/ERROR/, 'a proposal that is tried on them');
$node->safe_psql('postgres', 'ANALYZE');

# What to call a function with, by the name of the parameter and its type.
my %arguments = (
	product => q('sales.orders'), event_type => q('OrderPlaced'), version => q('1.0.0'), term => q('word'), domain => q('sales'),
	outbox => q('sales.outbox'), source => q('sales.outbox'), relation => q('sales.outbox'), name => q('sales.orders'),
	publisher => q('main'), consumer => q('other'), payload => q('{}'), schema => q('{"type": "object", "properties": {"id": {"type": "integer"}}}'), letters => q('{1,2,3}'),
	reason => q('r'), major => 1, major_version => 1, period => q('1 day'), keep => q('0'), owner => q('nobody'), role => q('nobody'),
	key => q('/id'), text => q('x'), description => q('d'), brokers => q('embedded'), function => q('other.f'), function_name => q('other.f'),
	policy => q('names'), uri => q('https://example.org/s'), columns => q('{}'), column_name => q('payload'), person => q('p'), duty => q('informed'),
	from_major => 2, to_major => 1, status => q('active'), state => q('active'), enforcement => q('observe'), purpose => q('p'),
	contact => q('c'), at => 'now()', lsn => q('0/0'), timeout => q('0'), document => q('{"mesh_outbox": 1, "domain": {"name": "sales", "description": "y"}}'),
	until => q('2999-01-01'), due => q('2999-01-01'), sunset => q('2999-01-01'), contract_id => 1, conversion_id => 1, request_id => 1,
	published => q('[]'), from_value => q('2000-01-01'), to_value => q('2001-01-01'), inputs => q('{}'), domains => q('{}'), passed => 'true',
	required => 'true', force => 'false', event_time => 'NULL', max_lateness => 'NULL', headers => 'NULL', key_schema => 'NULL',
	anomalies => q('[]'));
# By type, for what is not named above.
my %by_type = ('text' => q('x'), 'boolean' => 'true', 'integer' => 1, 'bigint' => 1, 'smallint' => 1, 'jsonb' => q('{}'), 'json' => q('{}'),
	'text[]' => q('{}'), 'boolean[]' => q('{}'), 'jsonb[]' => q('{}'), 'bigint[]' => q('{1}'), 'oid' => q('1'), 'regclass' => q('sales.outbox'), 'regtype' => q('text'),
	'interval' => q('1 day'), 'numeric' => 1, 'date' => q('2999-01-01'), 'timestamp with time zone' => 'now()', 'name' => q('x'), 'pg_lsn' => q('0/0'),
	'mesh_outbox.contract' => 'NULL', 'mesh_outbox.audit' => 'NULL');
my @calls;
foreach my $row (split /\n/, $node->safe_psql('postgres', q(
	SELECT p.proname, p.prokind, a.argument, a.type FROM pg_proc p
	LEFT JOIN LATERAL (
		SELECT n, coalesce(p.proargnames[n], '') AS argument, format_type(t, NULL) AS type, n > p.pronargs - p.pronargdefaults AS optional
		FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY u (t, n)) a ON true
	WHERE p.pronamespace = 'mesh_outbox'::regnamespace AND p.prorettype <> 'trigger'::regtype
	  AND has_function_privilege('nobody', p.oid, 'EXECUTE')
	ORDER BY p.oid, a.n)))
{
	my ($function, $kind, $argument, $type) = split /\|/, $row, -1;
	push @calls, { name => $function, kind => $kind, arguments => [] }
	  unless @calls && $calls[-1]{name} eq $function && $argument ne '';
	next if $type eq '';
	my $value = $arguments{$argument} // $by_type{$type};
	BAIL_OUT("what to call $function($argument $type) with?") unless defined $value;
	# a value for text of one function may be none for another's type
	$value = $by_type{$type} if $type !~ /^(text|name|jsonb?|regclass)$/ && exists $by_type{$type} && $value =~ /^'[a-z]/;
	push @{ $calls[-1]{arguments} }, $type eq 'name' ? "$value" : "$value\::$type";
}
my @views = split /\n/, $node->safe_psql('postgres', q(
	SELECT c.oid::regclass FROM pg_class c WHERE c.relnamespace = 'mesh_outbox'::regnamespace AND c.relkind = 'v'));
cmp_ok(scalar @calls, '>', 150, 'functions to try');

# Each in a transaction that is rolled back, with everything that PostgreSQL
# can be made to say.
sub everything
{
	my $sql = q(SET client_min_messages = debug1; LISTEN mesh_outbox;);
	foreach my $call (@calls)
	{
		my $text = "mesh_outbox.$call->{name}(" . join(', ', @{ $call->{arguments} }) . ')';
		$sql .= $call->{kind} eq 'p' ? "CALL $text;\n" : "BEGIN; SELECT '$call->{name}:', * FROM $text; ROLLBACK;\n";
	}
	$sql .= "SELECT '$_:', * FROM $_;\n EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM $_;\n" foreach @views;
	return $sql . q(
		SELECT * FROM sales.outbox;
		SELECT query FROM pg_stat_activity;
		SELECT * FROM pg_stats WHERE schemaname IN ('sales', 'mesh_outbox');
		SELECT * FROM pg_stat_replication_slots;
		SELECT objid, description FROM pg_description;
		INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlaced', '{"id": 1}');
		INSERT INTO sales.outbox (event_type, payload) VALUES ('Unknown', '{"id": "1"}'););
}

foreach my $role (qw(nobody other_owner app steward watcher))
{
	my $seen = as($role, everything());
	my @found = grep { /\Q$secret\E/ } split /\n/, $seen;
	# refused event types are for those who watch the server, too
	@found = grep { !/Lost_\Q$secret\E/ } @found if $role eq 'watcher';
	is_deeply(\@found, [], "$role sees nothing of them");
	like($seen, qr/permission denied/, "$role has tried");
}
my $own = as('sales_owner', everything());
like($own, qr/\Q$secret\E-pad/, 'the owner does');
like($own, qr/$_/, "the owner is answered: $_") foreach ('measure_product:', 'trial_failures:', 'mesh_outbox\.dead_letters:');

note 'what is listened to';
as('other_owner', q(
	SELECT mesh_outbox.acknowledge('other', 'sales.orders', 'OrderPlaced', '1.1.0');
	SELECT mesh_outbox.request_access('sales.orders', reason => 'r', consumer => 'other')));
my $notified = $heard->query('SELECT 1');
like($notified, qr/Asynchronous notification "mesh_outbox" with payload "\{"\w+": (\d+|\[[^"]*"sales\.orders", "OrderPlaced"\])\}"/, 'names and numbers');
unlike($notified, qr/\Q$secret\E/, 'and nothing of an event');
$heard->quit;

note 'what anybody may say there';
my $scribe = status($node)->{scribe_pid};
as('nobody', q(NOTIFY mesh_outbox, '{"proposal": 1}'; NOTIFY mesh_outbox; NOTIFY mesh_outbox, 'x'; NOTIFY "mesh_outbox.main"));
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_listening_channels()'), '0', 'nobody of ours listens');
as('sales_owner', event('OrderPlaced', qq({"id": "$secret-4"})));
wait_published($node);
is(status($node)->{scribe_pid}, $scribe, 'the workers go on');

note 'the log';
$node->safe_psql('postgres', 'CHECKPOINT');
my @logged = grep { /\Q$secret\E/ } split /\n/, slurp_file($node->logfile);
@logged = grep { !/ERROR:.*Lost_\Q$secret\E/ } @logged;    # the event type, which is none of the payload
is_deeply(\@logged, [], 'has nothing of them');

done_testing();
