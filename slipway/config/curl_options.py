"""Every option of curl(1), and what a check does with it: sends it, does without it, or refuses it with a reason."""

from __future__ import annotations


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SHORT = """
    a=append A=user-agent b=cookie B=use-ascii c=cookie-jar C=continue-at d=data D=dump-header e=referer E=cert
    f=fail F=form g=globoff G=get h=help H=header i=include I=head j=junk-session-cookies J=remote-header-name
    k=insecure K=config l=list-only L=location m=max-time M=manual n=netrc N=no-buffer o=output O=remote-name
    p=proxytunnel P=ftp-port q=disable Q=quote r=range R=remote-time s=silent S=show-error t=telnet-option
    T=upload-file u=user U=proxy-user v=verbose V=version w=write-out x=proxy X=request y=speed-time
    Y=speed-limit z=time-cond Z=parallel 0=http1.0 1=tlsv1 2=sslv2 3=sslv3 4=ipv4 6=ipv6 #=progress-bar :=next
"""
SHORT = dict(pair.split("=") for pair in _names(_SHORT))
SWITCHES = _names("""
    anyauth basic compressed digest form-escape get globoff head http0.9 http1.0 http1.1 http2
    http2-prior-knowledge ignore-content-length ipv4 ipv6 location location-trusted path-as-is post301 post302
    post303 raw tr-encoding
""")
WITH_VALUE = _names("""
    aws-sigv4 connect-timeout cookie data data-ascii data-binary data-raw data-urlencode expect100-timeout form
    form-string header json limit-rate max-filesize max-redirs oauth2-bearer range referer request
    request-target url url-query user user-agent
""")
# about the output, which is judged by `expect`
WITHOUT_EFFECT = _names("""
    fail fail-early fail-with-body include junk-session-cookies no-buffer no-progress-meter progress-bar
    progress-meter show-error silent styled-output suppress-connect-headers tcp-nodelay trace-ids trace-time
    verbose
""")
TAKES_VALUE = WITH_VALUE | {"write-out", "max-time", "output"}  # the last two are for the parser itself
_REASONS = {
    "it writes a file": """
        alt-svc clobber create-dirs create-file-mode etag-save hsts libcurl no-clobber output output-dir
        remote-header-name remote-name remote-name-all remote-time remove-on-error skip-existing ssl-sessions
        stderr trace trace-ascii trace-config xattr
    """,
    "it writes a file; `save` keeps what a later check needs": """
        cookie-jar dump-header
    """,
    "it reads a file": """
        cert config crlfile ech egd-file etag-compare key netrc netrc-file netrc-optional random-file
        upload-file variable
    """,
    "it reads a file; write the header If-Modified-Since": """
        time-cond
    """,
    "it changes the configuration": """
        disable
    """,
    "a check is one request": """
        next parallel parallel-immediate parallel-max parallel-max-host rate
    """,
    "it is sent once, when the service is ready": """
        retry retry-all-errors retry-connrefused retry-delay retry-max-time
    """,
    "use `within`": """
        speed-limit speed-time
    """,
    "use --range": """
        continue-at
    """,
    "the service is called directly": """
        abstract-unix-socket connect-to disallow-username-in-url dns-interface dns-ipv4-addr dns-ipv6-addr
        dns-servers doh-cert-status doh-insecure doh-url happy-eyeballs-timeout-ms haproxy-clientip
        haproxy-protocol interface ip-tos ipfs-gateway keepalive-cnt keepalive-time local-port mptcp
        no-keepalive noproxy preproxy proxy proxy-anyauth proxy-basic proxy-ca-native proxy-cacert proxy-capath
        proxy-cert proxy-cert-type proxy-ciphers proxy-crlfile proxy-digest proxy-header proxy-http2
        proxy-insecure proxy-key proxy-key-type proxy-negotiate proxy-ntlm proxy-pass proxy-pinnedpubkey
        proxy-service-name proxy-ssl-allow-beast proxy-ssl-auto-client-cert proxy-tls13-ciphers
        proxy-tlsauthtype proxy-tlspassword proxy-tlsuser proxy-tlsv1 proxy-user proxy1.0 proxytunnel resolve
        socks4 socks4a socks5 socks5-basic socks5-gssapi socks5-gssapi-nec socks5-gssapi-service socks5-hostname
        tcp-fastopen unix-socket vlan-priority
    """,
    "services are called over HTTP without TLS, so leave it out": """
        ca-native cacert capath cert-status cert-type ciphers curves dump-ca-embed engine false-start http3
        http3-only insecure key-type no-alpn no-npn no-sessionid pass pinnedpubkey proto proto-default
        proto-redir sigalgs ssl ssl-allow-beast ssl-auto-client-cert ssl-no-revoke ssl-reqd
        ssl-revoke-best-effort sslv2 sslv3 tls-earlydata tls-max tls13-ciphers tlsauthtype tlspassword tlsuser
        tlsv1 tlsv1.0 tlsv1.1 tlsv1.2 tlsv1.3
    """,
    "it is about credentials of this machine; use -u or a header": """
        delegation krb login-options negotiate ntlm ntlm-wb sasl-authzid sasl-ir service-name
    """,
    "it is not for HTTP": """
        append compressed-ssh crlf disable-eprt disable-epsv ftp-account ftp-alternative-to-user ftp-create-dirs
        ftp-method ftp-pasv ftp-port ftp-pret ftp-skip-pasv-ip ftp-ssl-ccc ftp-ssl-ccc-mode ftp-ssl-control
        hostpubmd5 hostpubsha256 knownhosts list-only mail-auth mail-from mail-rcpt mail-rcpt-allowfails
        metalink pubkey quote telnet-option tftp-blksize tftp-no-options upload-flags use-ascii
    """,
    "it sends nothing": """
        help manual version
    """,
}
REFUSED = {name: reason for reason, names in _REASONS.items() for name in _names(names)}
