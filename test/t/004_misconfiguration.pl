# What is missing is said once, with a hint, and shown in the view; the check
# works all the same.

use strict;
use warnings FATAL => 'all';

use MeshOutbox::Test;
use PostgreSQL::Test::Utils;
use Test::More;

note 'not preloaded';
my $node = PostgreSQL::Test::Cluster->new('bare');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION mesh_outbox');
$node->safe_psql('postgres', q(SELECT mesh_outbox.create_publisher('main', brokers => 'embedded')));
my $s = status($node);
like($s->{last_error} // '', qr/not loaded/, 'the view says what is missing');
like($s->{last_error_hint} // '', qr/shared_preload_libraries/, 'and what to do');
$node->safe_psql('postgres', q(
	CREATE SCHEMA sales;
	SELECT mesh_outbox.create_domain('sales', owner => current_user, description => 'sales');
	SELECT mesh_outbox.create_product('sales.orders', purpose => 'p', topic => 'sales.orders', partitions => 1);));
$node->safe_psql('postgres', qq(
	SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', schema => \$s\$$MeshOutbox::Test::SCHEMA\$s\$,
		key => '/id', version => '1.0.0', description => 'a customer placed an order');
	SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0')));
$node->safe_psql('postgres', q(
	SELECT mesh_outbox.create_outbox('sales.outbox', product => 'sales.orders');
	SELECT mesh_outbox.set_outbox_publisher('sales.outbox', NULL)));
emit($node, fine => 1);
sql_fails($node, emit_sql('bad', -1), qr{OrderPlaced.*1\.0\.0.*/n|/n.*minimum}s, 'the check works');

sub told
{
	my ($what, $log, $pattern) = @_;
	ok(wait_state($node, 'misconfigured'), "$what: state misconfigured");
	my $st = status($node);
	like($st->{last_error} // '', $pattern, "$what: the view says what");
	ok(($st->{last_error_hint} // '') ne '', "$what: with a hint");
	my $lines = () = slurp_file($node->logfile, $log) =~ /$pattern/g;
	cmp_ok($lines, '<=', 2, "$what: logged once");
	return;
}

note 'wal_level = replica';
my $log = -s $node->logfile;
configure($node, 'wal_level = replica');
$node->restart;
told('wal_level', $log, qr/wal_level/);

note 'no slot free';
$log = -s $node->logfile;
$node->append_conf('postgresql.conf', "wal_level = logical\nmax_replication_slots = 1\n");
$node->restart;
ok(wait_state($node, 'streaming'), 'the first publisher takes the only slot');
$node->safe_psql('postgres', q(SELECT mesh_outbox.create_publisher('second', brokers => 'embedded')));
ok(wait_state($node, 'misconfigured', 'second'), 'the second one is misconfigured');
like(status($node, 'second')->{last_error}, qr/slot/, 'the view says what is missing');
like(status($node, 'second')->{last_error_hint}, qr/max_replication_slots/, 'and what to do');

note 'freed';
$node->safe_psql('postgres', q(SELECT mesh_outbox.drop_publisher('main')));
ok(wait_state($node, 'streaming', 'second'), 'it goes on by itself');

note 'wrong encoding';
$node->safe_psql('postgres', q(CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0));
sql_fails($node, 'CREATE EXTENSION mesh_outbox', qr/UTF8.*LATIN1|LATIN1.*UTF8/s, 'a database in LATIN1', db => 'latin');

done_testing();
