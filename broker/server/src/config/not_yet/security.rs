//! Authentication, encryption, quotas: keys that Kafka knows and Weir does not honour yet.

use super::{row, unset};
use crate::config::table::{ConfigKey, Kind};

/// In alphabetical order.
pub(super) const KEYS: &[ConfigKey] = &[
    row("authorizer.class.name", Kind::String, "", "The class that decides who may do what. Weir loads no classes."),
    unset("client.quota.callback.class", Kind::Class, "A class that computes client quotas. Weir loads no classes."),
    row(
        "connection.failed.authentication.delay.ms",
        Kind::Int,
        "100",
        "How long a connection is held open after failed authentication, to slow down guessing.",
    )
    .at_least(0),
    row(
        "connections.max.reauth.ms",
        Kind::Long,
        "0",
        "How long an authenticated session lasts before the client must authenticate again; 0 is for ever.",
    ),
    row(
        "delegation.token.expiry.check.interval.ms",
        Kind::Long,
        "3600000",
        "How often expired delegation tokens are removed.",
    )
    .at_least(1),
    row(
        "delegation.token.expiry.time.ms",
        Kind::Long,
        "86400000",
        "How long a delegation token is good before it must be renewed.",
    )
    .at_least(1),
    row(
        "delegation.token.max.lifetime.ms",
        Kind::Long,
        "604800000",
        "Longest life of a delegation token, renewals included.",
    )
    .at_least(1),
    unset("delegation.token.secret.key", Kind::Password, "Secret with which delegation tokens are signed."),
    row(
        "principal.builder.class",
        Kind::Class,
        "org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder",
        "The class that names who a connection belongs to. Weir loads no classes.",
    )
    .per_broker(),
    unset("sasl.client.callback.handler.class", Kind::Class, "A class for SASL's client side. Weir loads no classes."),
    row("sasl.enabled.mechanisms", Kind::List, "GSSAPI", "SASL mechanisms that the broker offers.").per_broker(),
    unset("sasl.jaas.config", Kind::Password, "Login for SASL in Java's JAAS format.").per_broker(),
    row("sasl.kerberos.kinit.cmd", Kind::String, "/usr/bin/kinit", "Path of Kerberos's kinit.").per_broker(),
    row("sasl.kerberos.min.time.before.relogin", Kind::Long, "60000", "Shortest time between two Kerberos logins.")
        .per_broker(),
    row(
        "sasl.kerberos.principal.to.local.rules",
        Kind::List,
        "DEFAULT",
        "Rules that turn Kerberos names into user names.",
    )
    .per_broker(),
    unset("sasl.kerberos.service.name", Kind::String, "The Kerberos name of the broker.").per_broker(),
    row(
        "sasl.kerberos.ticket.renew.jitter",
        Kind::Double,
        "0.05",
        "Random part of the time at which a Kerberos ticket is renewed.",
    )
    .per_broker(),
    row(
        "sasl.kerberos.ticket.renew.window.factor",
        Kind::Double,
        "0.8",
        "Share of a Kerberos ticket's life after which it is renewed.",
    )
    .per_broker(),
    unset("sasl.login.callback.handler.class", Kind::Class, "A class for SASL logins. Weir loads no classes."),
    unset("sasl.login.class", Kind::Class, "A class that logs in for SASL. Weir loads no classes."),
    unset("sasl.login.connect.timeout.ms", Kind::Int, "How long connecting to the provider of logins may take."),
    unset("sasl.login.read.timeout.ms", Kind::Int, "How long the provider of logins may take to answer."),
    row(
        "sasl.login.refresh.buffer.seconds",
        Kind::Short,
        "300",
        "Time left before a login expires at which it is renewed at the latest.",
    )
    .per_broker(),
    row("sasl.login.refresh.min.period.seconds", Kind::Short, "60", "Shortest time between two renewals of a login.")
        .per_broker(),
    row("sasl.login.refresh.window.factor", Kind::Double, "0.8", "Share of a login's life after which it is renewed.")
        .per_broker(),
    row(
        "sasl.login.refresh.window.jitter",
        Kind::Double,
        "0.05",
        "Random part of the time at which a login is renewed.",
    )
    .per_broker(),
    row("sasl.login.retry.backoff.max.ms", Kind::Long, "10000", "Longest pause between two attempts to log in."),
    row("sasl.login.retry.backoff.ms", Kind::Long, "100", "First pause between two attempts to log in."),
    row("sasl.mechanism.controller.protocol", Kind::String, "GSSAPI", "SASL mechanism between broker and controller."),
    row("sasl.mechanism.inter.broker.protocol", Kind::String, "GSSAPI", "SASL mechanism between brokers.").per_broker(),
    row("sasl.oauthbearer.assertion.algorithm", Kind::String, "RS256", "How assertions to an OAuth server are signed."),
    unset("sasl.oauthbearer.assertion.claim.aud", Kind::String, "Audience of assertions to an OAuth server."),
    row(
        "sasl.oauthbearer.assertion.claim.exp.seconds",
        Kind::Int,
        "300",
        "How long assertions to an OAuth server are good.",
    )
    .between(0, 86400),
    unset("sasl.oauthbearer.assertion.claim.iss", Kind::String, "Issuer of assertions to an OAuth server."),
    row(
        "sasl.oauthbearer.assertion.claim.jti.include",
        Kind::Boolean,
        "false",
        "Whether assertions to an OAuth server carry an id.",
    ),
    row(
        "sasl.oauthbearer.assertion.claim.nbf.seconds",
        Kind::Int,
        "60",
        "How long ago assertions to an OAuth server began to be good.",
    )
    .between(0, 3600),
    unset("sasl.oauthbearer.assertion.claim.sub", Kind::String, "Subject of assertions to an OAuth server."),
    unset("sasl.oauthbearer.assertion.file", Kind::String, "File with a finished assertion to an OAuth server."),
    unset("sasl.oauthbearer.assertion.private.key.file", Kind::String, "File of the key that signs assertions."),
    unset(
        "sasl.oauthbearer.assertion.private.key.passphrase",
        Kind::Password,
        "Passphrase of the key that signs assertions.",
    ),
    unset("sasl.oauthbearer.assertion.template.file", Kind::String, "File with a template of the assertion."),
    unset("sasl.oauthbearer.client.credentials.client.id", Kind::String, "Client id at the OAuth server."),
    unset("sasl.oauthbearer.client.credentials.client.secret", Kind::Password, "Client secret at the OAuth server."),
    row(
        "sasl.oauthbearer.clock.skew.seconds",
        Kind::Int,
        "30",
        "How far the clocks of broker and OAuth server may differ.",
    ),
    row("sasl.oauthbearer.expected.audience", Kind::List, "", "Audience that a token must have."),
    unset("sasl.oauthbearer.expected.issuer", Kind::String, "Issuer that a token must have."),
    row(
        "sasl.oauthbearer.jwks.endpoint.refresh.ms",
        Kind::Long,
        "3600000",
        "How often the OAuth server's keys are fetched.",
    ),
    row(
        "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms",
        Kind::Long,
        "10000",
        "Longest pause between two attempts to fetch the OAuth server's keys.",
    ),
    row(
        "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms",
        Kind::Long,
        "100",
        "First pause between two attempts to fetch the OAuth server's keys.",
    ),
    unset("sasl.oauthbearer.jwks.endpoint.url", Kind::String, "Where the OAuth server's keys are."),
    row(
        "sasl.oauthbearer.jwt.retriever.class",
        Kind::Class,
        "org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever",
        "The class that fetches tokens. Weir loads no classes.",
    ),
    row(
        "sasl.oauthbearer.jwt.validator.class",
        Kind::Class,
        "org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator",
        "The class that checks tokens. Weir loads no classes.",
    ),
    unset("sasl.oauthbearer.scope", Kind::String, "Scope asked for at the OAuth server."),
    row("sasl.oauthbearer.scope.claim.name", Kind::String, "scope", "Claim of a token that holds its scope."),
    row("sasl.oauthbearer.sub.claim.name", Kind::String, "sub", "Claim of a token that holds the user."),
    unset("sasl.oauthbearer.token.endpoint.url", Kind::String, "Where the OAuth server gives tokens."),
    unset("sasl.server.callback.handler.class", Kind::Class, "A class for SASL's server side. Weir loads no classes."),
    row("sasl.server.max.receive.size", Kind::Int, "524288", "Largest SASL message before a client is authenticated."),
    row(
        "security.inter.broker.protocol",
        Kind::String,
        "PLAINTEXT",
        "Security protocol between brokers, where no listener is named.",
    ),
    unset("security.providers", Kind::String, "Java security providers. Weir loads no classes."),
    row("ssl.allow.dn.changes", Kind::Boolean, "false", "Whether a new certificate may have another name."),
    row("ssl.allow.san.changes", Kind::Boolean, "false", "Whether a new certificate may have other alternative names."),
    row("ssl.cipher.suites", Kind::List, "", "Cipher suites that may be used.").per_broker(),
    row(
        "ssl.client.auth",
        Kind::String,
        "none",
        "Whether clients must show a certificate: `required`, `requested` or `none`.",
    )
    .per_broker(),
    row("ssl.enabled.protocols", Kind::List, "TLSv1.2,TLSv1.3", "TLS versions that may be used.").per_broker(),
    row(
        "ssl.endpoint.identification.algorithm",
        Kind::String,
        "https",
        "How a server's name is checked against its certificate.",
    )
    .per_broker(),
    unset("ssl.engine.factory.class", Kind::Class, "A class that makes TLS engines. Weir loads no classes.")
        .per_broker(),
    unset("ssl.key.password", Kind::Password, "Password of the private key.").per_broker(),
    row("ssl.keymanager.algorithm", Kind::String, "SunX509", "Java's name of the key manager.").per_broker(),
    unset("ssl.keystore.certificate.chain", Kind::Password, "Certificate chain in PEM.").per_broker(),
    unset("ssl.keystore.key", Kind::Password, "Private key in PEM.").per_broker(),
    unset("ssl.keystore.location", Kind::String, "File of key and certificates.").per_broker(),
    unset("ssl.keystore.password", Kind::Password, "Password of the file of key and certificates.").per_broker(),
    row("ssl.keystore.type", Kind::String, "JKS", "Format of the file of key and certificates.").per_broker(),
    row(
        "ssl.principal.mapping.rules",
        Kind::String,
        "DEFAULT",
        "Rules that turn a certificate's name into a user name.",
    ),
    row("ssl.protocol", Kind::String, "TLSv1.3", "TLS version to begin with.").per_broker(),
    unset("ssl.provider", Kind::String, "Java's TLS provider. Weir loads no classes.").per_broker(),
    unset("ssl.secure.random.implementation", Kind::String, "Java's name of the source of randomness.").per_broker(),
    row("ssl.trustmanager.algorithm", Kind::String, "PKIX", "Java's name of the trust manager.").per_broker(),
    unset("ssl.truststore.certificates", Kind::Password, "Trusted certificates in PEM.").per_broker(),
    unset("ssl.truststore.location", Kind::String, "File of trusted certificates.").per_broker(),
    unset("ssl.truststore.password", Kind::Password, "Password of the file of trusted certificates.").per_broker(),
    row("ssl.truststore.type", Kind::String, "JKS", "Format of the file of trusted certificates.").per_broker(),
];
