# SPDX-License-Identifier: Apache-2.0
# python-tuf as a program: python-tuf.py URL ROOT FOLDER — refreshes and downloads the trusted root; prints its size.
import os
import sys

from tuf.ngclient import Updater

url, root, folder = sys.argv[1:4]
os.makedirs(os.path.join(folder, "targets"), exist_ok=True)
with open(root, "rb") as file:
    bootstrap = file.read()
updater = Updater(
    metadata_dir=folder,
    metadata_base_url=f"{url}/",
    target_dir=os.path.join(folder, "targets"),
    target_base_url=f"{url}/targets/",
    bootstrap=bootstrap,
)
updater.refresh()
info = updater.get_targetinfo("trusted_root.json")
print(os.path.getsize(updater.download_target(info)))
