#!/bin/sh
# nginx, configured for WebSocket as in nginx's manual, with one worker and no access log.
#
# usage: nginx.sh PORT BACKEND DIRECTORY
set -eu
cat >"$3/nginx.conf" <<END
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid $3/pid;
error_log stderr;
events { worker_connections 10000; }
http {
    access_log off;
    client_body_temp_path $3/body;
    proxy_temp_path $3/proxy;
    fastcgi_temp_path $3/fastcgi;
    uwsgi_temp_path $3/uwsgi;
    scgi_temp_path $3/scgi;
    server {
        listen 127.0.0.1:$1;
        location / {
            proxy_pass http://127.0.0.1:$2;
            proxy_http_version 1.1;
            proxy_set_header Upgrade \$http_upgrade;
            proxy_set_header Connection Upgrade;
            proxy_set_header Host \$http_host;
        }
    }
}
END
exec nginx -e stderr -c "$3/nginx.conf"
