"""Registry products.

Which product answers is told from the answers that other checks got: the host's name, the challenge, the headers.
Other checks use it to respect what is peculiar to a product. Of products that consist of several services around
the registry (Harbor, Quay, Gitea) the health page is read, for the registry itself may be well while another
part is not.
"""
